// The page: what a visitor does, and what they see. Signing in, renewing and staying signed in is the browser client's.

import { Api, asProblem, patiently, Problem } from "/api.js"
import { at, make, picture, pressable } from "/elements.js"
import { Ordering } from "/ordering.js"
import { forget, recall, remember } from "/remembered.js"
import { choose, clock, language, moment, say, shortened, won } from "/texts.js"
import { left_s, showTravels, watch } from "/travels.js"

const HERE = "stoa.here" // remembered: somebody was signed in in this browser
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]

const about = await (await fetch("/api/shop")).json()
const catalogue = await (await fetch("/api/catalogue")).json()
const product = (id) => catalogue.find((one) => one.id === id)
const nameOf = (id) => product(id)[language()].name

// Cookies belong to the name of the host: the shop must be called what Propylon is called.
const { hostname } = new URL(about.propylon)
if (location.hostname !== hostname && LOOPBACK.includes(location.hostname) && LOOPBACK.includes(hostname)) {
  location.replace(Object.assign(new URL(location.href), { hostname }))
  await new Promise(() => {}) // nothing more happens here
}

// What belongs to one sign-in. Work that is still under way when it ends goes on with the old one, which nobody sees.
const newVisit = (me = null) => ({ me, cart: { lines: {}, total_krw: 0 }, orders: [], ordered: null, placing: false })
let visit = newVisit()
// What the page has seen of the sign-in: { value, life_s, endsAt, refreshToken, inCookieToo, apiToken }.
let held = {}

watch({
  mode: () => visit.me?.mode,
  seen: (more) => Object.assign(held, more),
})

// The browser client comes from Propylon itself, so it always fits the server. It knows by its own address whom to ask.
const { Propylon } = await import(`${about.propylon}/propylon.js`)
const auth = new Propylon({ language })
const { ask, once } = Api(auth, language)
const ordering = new Ordering(auth, once)
const otherTabs = new BroadcastChannel("stoa")

// Doing ------------------------------------------------------------------------------------------------------

// Runs one thing that a visitor asked for, and shows what it was refused for. Each in its turn: an answer that is late
// must not show an older cart than the one before it.
let turn = Promise.resolve()
let waiting = 0
const attempt = (work, { clears = true } = {}) => {
  const run = () => tryOut(work, clears).finally(() => underWay(-1))
  underWay(1)
  return (turn = turn.then(run, run))
}

const underWay = (more) => document.documentElement.toggleAttribute("data-busy", (waiting += more) > 0)

const tryOut = async (work, clears) => {
  if (clears) showProblem(null)
  const mine = visit
  try {
    await work(mine)
  } catch (error) {
    const problem = told(error)
    // Where the sign-in has ended meanwhile, that is what is told (ended).
    if (mine === visit || !mine.me) showProblem(problem)
  }
  show()
}

// A mistake of this page is told as well, and reported like any other.
const told = (error) => {
  if (error?.problem || error instanceof Problem) return asProblem(error)
  reportError(error)
  return new Problem({ code: "page_mistaken", title: say("mistakenTitle"), detail: say("mistakenDetail") })
}

const enter = async ({ user, session }) => {
  if (visit.me?.session.id === session.id) return
  const { mode } = session
  const mine = (visit = newVisit({ user, session, mode, credential: mode === "cookie" ? "cookie" : "access_token" }))
  at("gate-note").textContent = ""
  remember(HERE, "yes")
  const begun = ordering.begun(user.id)
  const looked = look(mine)
  if (!begun) return looked
  // An order was under way when the page was left or the session ended. It goes on: the same one, with the same key.
  await looked.catch(() => {})
  await place(mine, begun)
}

// How a request arrives, the cart and the orders, as the shop sees them.
const look = async (mine) => {
  const { credential, expires_at } = await ask("GET", "/api/me")
  Object.assign(mine.me, { credential, expires_at, mode: credential === "cookie" ? "cookie" : mine.me.session.mode })
  await lookAgain(mine)
}

const lookAgain = async (mine) => {
  const [cart, orders] = await Promise.all([ask("GET", "/api/cart"), ask("GET", "/api/orders")])
  changed(mine, { cart, orders })
}

// Tabs of one sign-in show one cart.
const changed = (mine, facts) => {
  Object.assign(mine, facts)
  otherTabs.postMessage({ session: mine.me.session.id, facts })
}

const arrive = async () => {
  const who = await patiently(() => auth.session())
  if (who) await enter(who)
}

const signIn = async ({ mode, email, password }) => {
  await enter(await auth.signIn({ mode: mode.value, email: email.value, password: password.value }))
  show()
  at("who-name").focus()
}

const signOut = async () => {
  await auth.signOut()
  at("gate-title").focus()
}

// The sign-in has ended: here, in another tab, or because somebody ended it elsewhere. It is told when it happens.
const ended = (problem) => {
  // Found at a load: a cookie outlives its session, and nobody is told twice what became of that.
  if (!visit.me && !recall(HERE)) return
  forget(HERE)
  const waits = visit.me && ordering.begun(visit.me.user.id)
  visit = newVisit()
  held = {}
  at("prove").close()
  const byThem = problem.code === "signed_out"
  showProblem(byThem ? null : asProblem({ problem }))
  show()
  at("gate-note").textContent = say(waits ? "orderWaits" : byThem ? "signedOut" : "signInAgain")
  tell(at("gate-note").textContent)
}

// `quantity` is asked when it is this one's turn: whoever presses + three times in a row wants three more.
const change = (method, id, quantity) =>
  attempt(async (mine) => {
    mine.ordered = null
    try {
      const body = { quantity: quantity(mine.cart.lines[id] ?? 0) }
      changed(mine, { cart: await ask(method, `/api/cart/${id}`, { body }), ordered: null })
    } catch (problem) {
      // It may have arrived all the same: what is shown is what is there.
      if (problem.isSilence && mine === visit) await lookAgain(mine).catch(() => {})
      throw problem
    }
    tell(say("cartHas", nameOf(id), mine.cart.lines[id] ?? 0, won(mine.cart.total_krw)))
  })

const order = async (mine) => {
  const { cart, me } = mine
  const begun = ordering.begun(me.user.id)
  if (begun && begun.cart !== cart.name) await place(mine, begun) // of a session before: first things first
  if (Object.keys(cart.lines).length) await place(mine, cart) // pressed twice, the second has nothing left to do
}

const place = async (mine, cart) => {
  mine.placing = true
  show()
  try {
    const { number } = await ordering.place(mine.me.user.id, cart, () => mine === visit)
    changed(mine, { ordered: number })
  } finally {
    mine.placing = false
    show()
    if (mine === visit) at("prove").close() // another tab has confirmed
  }
  await lookAgain(mine)
}

const renew = async () => {
  // As good as new. What was renewed a moment ago is left alone.
  await auth.ensureFresh(held.life_s * 0.9)
  tell(say("renewed"))
}

// The same session in the other form. From tokens to a cookie: Propylon's own pages open signed in, as does the web view of
// an app. From the cookie to a token: for an API that knows no cookies. Ending one ends both.
const handOver = async () => {
  if (visit.me.mode === "cookie") {
    const { access_token } = await ask("POST", `${about.propylon}/v1/session/tokens`)
    const headers = { Authorization: `Bearer ${access_token}` }
    const { credential } = await ask("GET", "/api/me", { headers })
    held.apiToken = access_token
    tell(say("apiTokenWorks", say(`credential_${credential}`)))
  } else {
    await once("POST", `${about.propylon}/v1/session/cookie`, { credentials: "include" })
    held.inCookieToo = true
    show()
    tell(say("handedOver"))
    at("account-link").focus()
  }
}

// Asked again for the password ---------------------------------------------------------------------------------

// The browser client keeps the request meanwhile. It goes on when the password was right, in this tab or in another, and is
// answered as it was when the dialog is closed.
let kept = null

const askPassword = (event) => {
  if (event.detail.code !== "reauthentication_required") return // the sign-in has ended: `ended` tells it
  event.preventDefault()
  kept = event.detail
  if (at("prove").open) return // and what has been typed stays
  at("prove-form").reset()
  at("prove-problem").textContent = ""
  at("prove-email").value = visit.me.user.email
  at("prove").showModal()
}

const prove = async ({ password }) => {
  try {
    await auth.confirm(password.value)
    at("prove").close()
  } catch (error) {
    at("prove-problem").textContent = asProblem(error).detail || say("unreachableDetail")
    password.select()
  }
}

// Showing ----------------------------------------------------------------------------------------------------

// What happened, for those who do not see it.
const tell = (text) => (at("said").textContent = text)

const showProblem = (problem) => {
  at("problem").hidden = !problem
  if (!problem) return
  const title = { user_changed: "changedTitle", token_expiring: "endsSoonTitle" }[problem.code] ?? "unreachableTitle"
  at("problem").querySelector(".problem__title").textContent = problem.title || say(title)
  at("problem").querySelector(".problem__detail").textContent = problem.detail || say("unreachableDetail")
  const fields = problem.errors.map(({ detail }) => make("li", {}, detail))
  at("problem").querySelector(".problem__fields").replaceChildren(...fields)
  at("problem").querySelector(".problem__code").textContent = problem.code
}

const showTexts = () => {
  document.documentElement.lang = language()
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say)
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()))
  }
  at("mode-hint").textContent = say(`${at("sign-in").elements.mode.value}Hint`)
}

const showWho = () => {
  const { me } = visit
  at("gate").hidden = Boolean(me)
  at("who").hidden = !me
  if (!me) return
  const { user, session, mode, credential, expires_at } = me
  at("who-name").textContent = user.name || user.email
  at("who-email").textContent = user.email
  at("who-letter").textContent = [...(user.name || user.email)][0].toUpperCase()
  at("who-mode").textContent = say(mode)
  const code = (text) => make("code", {}, text)
  const facts = [[say("arrives"), say(`credential_${credential}`)], [say("session"), code(`${session.id.slice(0, 8)}…`)]]
  if (mode === "cookie") {
    facts.push([say("cookie"), say("unseen")])
    if (expires_at) facts.push([say("lasts"), moment(expires_at)])
    if (held.apiToken) facts.push([say("apiToken"), code(shortened(held.apiToken))])
  } else {
    if (held.value) facts.push([say("accessToken"), code(shortened(held.value))])
    const unseen = say(mode === "hybrid" ? "unseen" : "unseenHere")
    facts.push([say("refreshToken"), held.refreshToken ? code(shortened(held.refreshToken)) : unseen])
    if (held.inCookieToo) facts.push([say("cookie"), say("sameSession")])
  }
  at("facts").replaceChildren(...facts.map(([name, fact]) => make("div", {}, make("dt", {}, name), make("dd", {}, fact))))
  at("life").hidden = at("renew").hidden = mode === "cookie" || !held.value
  at("hand-over").hidden = Boolean(held.inCookieToo)
  at("hand-over").textContent = say(mode === "cookie" ? "handOverToken" : "handOver")
  showLife()
}

const showLife = () => {
  if (!held.life_s || at("life").hidden) return
  const left = left_s(held)
  at("countdown").textContent = left ? clock(left) : say("expired")
  at("life-left").value = left / held.life_s
}

const showGoods = () => {
  const tiles = catalogue.map(({ id, price_krw, ...texts }) => {
    const { name, note } = texts[language()]
    const one = () => change("POST", id, () => 1)
    const add = pressable(`add-${id}`, say("addNamed", name), "button button--small", one, say("add"))
    add.disabled = !visit.me
    const foot = make("div", { className: "goods__foot" }, make("strong", {}, won(price_krw)), add)
    const art = make("div", { className: `art art--${id}` }, picture(id))
    return make("li", {}, art, make("h3", {}, name), make("p", { className: "muted" }, note), foot)
  })
  at("goods").replaceChildren(...tiles)
}

const showCart = () => {
  const { cart, me, ordered, placing } = visit
  const begun = me && ordering.begun(me.user.id)
  const step = (id, sign, key, by) => {
    const press = () => change("PUT", id, (count) => Math.max(0, count + by))
    return pressable(`${key}-${id}`, say(key, nameOf(id)), "step", press, sign)
  }
  const rows = Object.entries(cart.lines).map(([id, count]) => {
    const steps = make("span", { className: "steps" }, step(id, "−", "fewer", -1), String(count), step(id, "+", "more", 1))
    const sum = make("span", { className: "number" }, won(product(id).price_krw * count))
    return make("li", {}, make("span", { className: "lines__name" }, nameOf(id)), steps, sum)
  })
  at("cart-lines").replaceChildren(...rows)
  at("cart-empty").textContent = rows.length || ordered ? "" : say(me ? "cartEmpty" : "cartSignIn")
  at("cart-total").hidden = !rows.length && !begun
  at("cart-sum").textContent = won(cart.total_krw)
  at("big").hidden = cart.total_krw < about.big_krw
  at("big").textContent = say("big", won(about.big_krw))
  at("order").textContent = say(placing ? "placing" : begun ? "orderAgain" : "order")
  at("order").setAttribute("aria-busy", String(placing))
  at("ordered").textContent = ordered ? say("ordered", ordered) : ""
}

const showOrders = () => {
  at("orders").hidden = !visit.orders.length
  const rows = visit.orders.map(({ number, lines, total_krw, placed_at }) => {
    const sum = make("span", { className: "number" }, won(total_krw))
    const what = Object.entries(lines).map(([id, count]) => say("piece", nameOf(id), count)).join(", ")
    const when = `${moment(placed_at)} · ${what}`
    return make("li", {}, make("p", {}, make("strong", {}, say("orderNumber", number)), sum), make("p", { className: "muted" }, when))
  })
  at("order-lines").replaceChildren(...rows)
}

const show = () => {
  const { key } = document.activeElement.dataset
  for (const part of [showTexts, showWho, showGoods, showCart, showOrders, showTravels]) part()
  // Who works with the keyboard goes on where they were; where that is gone, at the cart that it was in.
  if (!key) return
  const again = document.querySelector(`[data-key="${key}"]`)
  ;(again?.checkVisibility() ? again : at("cart-title")).focus()
}

// Beginning --------------------------------------------------------------------------------------------------

const begin = () => {
  at("account-link").href = `${about.propylon}/account`
  at("own-page").href = `${about.propylon}/login?next=${encodeURIComponent(`${location.origin}/`)}`
  const { mode, email, password } = at("sign-in").elements
  mode.value = about.mode
  if (about.demo) {
    at("demo-hint").hidden = false
    email.value = about.demo.email
    password.value = about.demo.password
  }
}

// What the browser client tells, whichever tab it happened in.
const listenToAuth = () => {
  auth.addEventListener("signed-in", ({ detail }) => attempt(() => enter(detail), { clears: false }))
  auth.addEventListener("signed-out", ({ detail }) => ended(detail))
  auth.addEventListener("renewed", ({ detail: { expiresInS: life_s } }) =>
    Object.assign(held, { life_s, endsAt: Date.now() + life_s * 1000 }),
  )
  auth.addEventListener("reauthentication-required", askPassword)
  otherTabs.addEventListener("message", ({ data: { session, facts } }) => {
    if (visit.me?.session.id !== session) return
    Object.assign(visit, facts)
    show()
  })
}

const listen = () => {
  const buttons = { renew, "hand-over": handOver, "sign-out": signOut, order }
  for (const [id, work] of Object.entries(buttons)) at(id).addEventListener("click", () => attempt(work))
  at("problem-close").addEventListener("click", () => showProblem(null))
  at("sign-in").addEventListener("change", showTexts)
  at("sign-in").addEventListener("submit", (event) => {
    event.preventDefault()
    attempt(() => visit.me ?? signIn(event.target.elements)) // pressed twice, the second has nothing left to do
  })
  at("prove").addEventListener("close", () => kept?.cancel())
  at("prove-cancel").addEventListener("click", () => at("prove").close())
  at("prove-form").addEventListener("submit", (event) => {
    event.preventDefault()
    prove(event.target.elements)
  })
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      choose(button.dataset.language)
      show()
    })
  }
  setInterval(showLife, 1000)
}

begin()
listen()
listenToAuth()
showTexts()
showGoods()
await attempt(arrive, { clears: false })
document.documentElement.dataset.ready = "yes"
