// An order that is placed once, whatever becomes of the network, of the page or of the sign-in. The pattern, to copy:
//
// 1. The key. When the order begins, a key is made (an idempotency key), and kept together with what is ordered until the
//    answer is known: in the storage of this tab, so that a reload does not forget it. The key is no secret and opens
//    nothing; it says "this is still the same order".
// 2. No answer is not "no". A connection that broke may have broken before the server acted, or after. So the same order is
//    sent again, with the same key: the server places it, or answers with the one that it has. Nobody has to decide
//    whether to press again, and whoever does press again sends the same key.
// 3. Beforehand the sign-in is made to last (`ensureFresh`), so that it does not end in the middle. If it does, the client
//    renews it and repeats the request, which is harmless because of 2.
// 4. What the server asks for in between is given: for a big order the password is asked again; the browser client keeps
//    the request, and it goes on afterwards (shop.js, "reauthentication-required"). Where the session has ended, the order
//    waits here for the same person to sign in again.
// 5. A refusal is an answer: nothing was placed, and the key is done with.
//
// The server has the other half (orders.py): a key, and a cart, is one order by a rule of its table, not by a look
// beforehand. The cart's name comes from the server and goes back, so that two tabs with a key each order it once.

import { asProblem, Problem, sleep } from "/api.js"

const LASTS_S = 3 // the server asks for two seconds (app.py); one is for the way there
const TRIES = 5
const WAIT_MS = 250
const MAX_WAIT_MS = 5_000
const WITHIN_MS = 15_000 // a network that neither answers nor breaks

export class Ordering {
  #begun = new Map()

  // `once` sends a request to the shop a single time.
  constructor(auth, once) {
    Object.assign(this, { auth, once })
  }

  // What this person has begun to order in this tab, and nobody knows yet whether it was placed: { key, cart, lines }.
  begun(userId) {
    return this.#begun.get(userId) ?? stored(userId)
  }

  // Orders a cart as it was seen, or goes on with that; returns the order. `isStill` says whether this person is still who
  // the page is about: nothing is sent as somebody else.
  async place(userId, { name, cart = name, lines }, isStill) {
    const before = this.begun(userId)
    const same = before?.cart === cart && JSON.stringify(before.lines) === JSON.stringify(lines)
    const order = same ? before : { key: crypto.randomUUID(), cart, lines }
    this.#keep(userId, order)
    try {
      const placed = await this.#sendUntilAnswered(order, isStill)
      this.#keep(userId, null)
      return placed
    } catch (problem) {
      if (isRefusal(problem) && isStill()) this.#keep(userId, null)
      throw problem
    }
  }

  #keep(userId, order) {
    this.#begun.set(userId, order)
    try {
      sessionStorage.setItem(nameOf(userId), JSON.stringify(order))
    } catch {} // blocked or full: then a reload forgets it, and the cart's name alone keeps it single
  }

  async #sendUntilAnswered(order, isStill) {
    for (let tries = 1; ; tries++) {
      try {
        await this.auth.ensureFresh(LASTS_S)
        if (!isStill()) throw new Problem({ code: "user_changed" })
        return await this.#send(order)
      } catch (error) {
        const problem = asProblem(error)
        if (!isWorthAnother(problem) || tries === TRIES || !isStill()) throw problem
        const wait = WAIT_MS * 2 ** (tries - 1) * (0.5 + Math.random()) // not all tabs and shoppers at once
        await sleep(Math.min(Math.max(wait, problem.retry_after_s * 1000), MAX_WAIT_MS))
      }
    }
  }

  async #send({ key, cart, lines }) {
    const overdue = new AbortController()
    const timer = setTimeout(() => overdue.abort(), WITHIN_MS)
    const asked = () => clearTimeout(timer) // a person who looks for the password is no slow network
    this.auth.addEventListener("reauthentication-required", asked)
    try {
      const headers = { "Idempotency-Key": key }
      return await this.once("POST", "/api/orders", { body: { cart, lines }, headers, signal: overdue.signal })
    } finally {
      this.auth.removeEventListener("reauthentication-required", asked)
      clearTimeout(timer)
    }
  }
}

const stored = (userId) => {
  try {
    return JSON.parse(sessionStorage.getItem(nameOf(userId)))
  } catch {
    return null
  }
}

const nameOf = (userId) => `stoa.order.${userId}`

const isWorthAnother = ({ isSilence, status, code }) =>
  status === 429 || (isSilence && !["user_changed", "signed_out"].includes(code))

// The server has looked at it and said no. A sign-in that has ended says nothing about the order; a password that was not
// given does: whoever closes the dialog does not want it.
const isRefusal = ({ isSilence, status, code }) =>
  (!isSilence && ![401, 403, 408, 425, 429].includes(status)) || code === "reauthentication_required"
