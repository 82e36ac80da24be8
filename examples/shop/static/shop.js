// The page: what a visitor does, and what they see. Everything about sessions is in session.js.

import { left_s, Problem, Session } from "/session.js"
import { choose, clock, language, moment, say, shortened, won } from "/texts.js"

const MAX_TRAVELS = 40
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]

const at = (id) => document.getElementById(id)

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}

const picture = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use")
  use.setAttribute("href", `/goods.svg#${name}`)
  svg.setAttribute("aria-hidden", "true")
  svg.append(use)
  return svg
}

// A button that the focus finds again when what it stands in has been made anew.
const pressable = (key, label, className, onclick, text) => {
  const button = make("button", { type: "button", className, onclick }, text)
  button.dataset.key = key
  button.setAttribute("aria-label", label)
  return button
}

const about = await (await fetch("/api/shop")).json()
const catalogue = await (await fetch("/api/catalogue")).json()
const product = (id) => catalogue.find((one) => one.id === id)
const nameOf = (id) => product(id)[language()].name

// What belongs to one sign-in. Work that is still under way when it ends goes on with the old one, which nobody sees.
const newVisit = (me = null) => ({ me, cart: { lines: {}, total_krw: 0 }, orders: [], orderKey: null, ordered: null })
let visit = newVisit()
let travels = []

const session = new Session(about.propylon, {
  language,
  travelled(one) {
    travels = [one, ...travels].slice(0, MAX_TRAVELS)
    showTravels()
  },
})

// Doing ------------------------------------------------------------------------------------------------------

// Runs one thing that a visitor asked for, and shows what it was refused for. Each in its turn: an answer that is late
// must not show an older cart than the one before it.
let turn = Promise.resolve()
const attempt = (work) => {
  const run = () => tryOut(work)
  return (turn = turn.then(run, run))
}

const tryOut = async (work) => {
  showProblem(null)
  try {
    await work(visit)
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem
    if (visit.me && problem.status === 401) leave()
    showProblem(problem)
  }
  show()
}

const enter = async (me) => {
  visit = newVisit(me)
  visit.cart = await session.fetch("GET", "/api/cart")
  visit.orders = await session.fetch("GET", "/api/orders")
}

const leave = () => {
  session.forget()
  visit = newVisit()
}

const arrive = async () => {
  const me = await session.resume()
  if (me) await enter(me)
}

const signIn = async ({ mode, email, password }) => {
  await session.signIn(mode.value, email.value, password.value)
  await enter(await session.fetch("GET", "/api/me"))
  show()
  at("who-name").focus()
}

const signOut = async () => {
  await session.signOut()
  leave()
  show()
  at("gate-title").focus()
  tell(say("signedOut"))
}

// `quantity` is asked when it is this one's turn: whoever presses + three times in a row wants three more.
const change = (method, id, quantity) =>
  attempt(async (mine) => {
    mine.ordered = null
    mine.cart = await session.fetch(method, `/api/cart/${id}`, { body: { quantity: quantity(mine.cart.lines[id] ?? 0) } })
    tell(say("cartHas", nameOf(id), mine.cart.lines[id] ?? 0, won(mine.cart.total_krw)))
  })

const order = async (mine) => {
  // Kept until there is an answer: pressing again after a lost one places nothing twice.
  mine.orderKey ??= crypto.randomUUID()
  const placed = await session.fetch("POST", "/api/orders", { headers: { "Idempotency-Key": mine.orderKey } })
  Object.assign(mine, { orderKey: null, ordered: placed.number })
  mine.cart = await session.fetch("GET", "/api/cart")
  mine.orders = await session.fetch("GET", "/api/orders")
}

const renew = async () => {
  await session.renew()
  tell(say("renewed"))
}

const handOver = async () => {
  await session.handOver()
  show()
  tell(say("handedOver"))
  at("account-link").focus()
}

// Showing ----------------------------------------------------------------------------------------------------

// What happened, for those who do not see it.
const tell = (text) => (at("said").textContent = text)

const showProblem = (problem) => {
  at("problem").hidden = !problem
  if (!problem) return
  const lost = problem.code === "unreachable"
  at("problem").querySelector(".problem__title").textContent = lost ? say("unreachableTitle") : problem.title
  at("problem").querySelector(".problem__detail").textContent = lost ? say("unreachableDetail") : problem.detail
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
  const { user, credential, expires_at, session_id } = me
  at("who-name").textContent = user.name || user.email
  at("who-email").textContent = user.email
  at("who-letter").textContent = [...(user.name || user.email)][0].toUpperCase()
  at("who-mode").textContent = say(session.mode)
  const facts = [
    [say("arrives"), say(`credential_${credential}`)],
    [say("session"), make("code", {}, `${session_id.slice(0, 8)}…`)],
  ]
  if (session.token) {
    facts.push([say("accessToken"), make("code", {}, shortened(session.token.value))])
    const refresh = session.refreshToken ? make("code", {}, shortened(session.refreshToken)) : say("unseen")
    facts.push([say("refreshToken"), refresh])
    if (session.inCookieToo) facts.push([say("cookie"), say("sameSession")])
  } else {
    facts.push([say("cookie"), say("unseen")], [say("lasts"), moment(expires_at)])
  }
  at("facts").replaceChildren(...facts.map(([name, fact]) => make("div", {}, make("dt", {}, name), make("dd", {}, fact))))
  at("life").hidden = at("renew").hidden = !session.token
  at("hand-over").hidden = !session.token || session.inCookieToo
  showLife()
}

const showLife = () => {
  if (!session.token) return
  const left = left_s(session.token)
  at("countdown").textContent = left ? clock(left) : say("expired")
  at("life-left").value = left / session.token.life_s
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
  const { cart, me, ordered } = visit
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
  at("cart-total").hidden = !rows.length
  at("cart-sum").textContent = won(cart.total_krw)
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

const carried = ({ carries, code, token }) => {
  const headers = {
    token: () => `Authorization: Bearer ${shortened(token)}`,
    cookie: () => "Cookie: propylon=…",
    "refresh-cookie": () => "Cookie: propylon-refresh=…",
    "refresh-body": () => '{"refresh_token": "…"}',
    password: () => '{"email": "…", "password": "…"}',
  }
  return code === "credential_missing" ? say("nothing") : make("code", {}, headers[carries]())
}

const showTravels = () => {
  const rows = travels.map((one) => {
    const { pathname, origin } = new URL(one.url, location.href)
    const where = origin === location.origin ? "stoa" : "propylon"
    const to = make("span", { className: `where where--${where}` }, where)
    const status = make("code", { className: `status status--${String(one.status)[0]}` }, String(one.status || "—"))
    const answer = make("td", {}, status, one.status ? (one.code ?? "") : say("unreachable"))
    const took = make("td", { className: "number" }, `${Math.max(1, Math.round(one.took_ms))} ms`)
    const request = make("td", {}, to, make("code", {}, `${one.method} ${pathname}`))
    return make("tr", {}, request, make("td", {}, carried(one)), answer, took)
  })
  at("travels").replaceChildren(...rows)
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

const listen = () => {
  const buttons = { renew, "hand-over": handOver, "sign-out": signOut, order }
  for (const [id, work] of Object.entries(buttons)) at(id).addEventListener("click", () => attempt(work))
  at("problem-close").addEventListener("click", () => showProblem(null))
  at("sign-in").addEventListener("change", showTexts)
  at("sign-in").addEventListener("submit", (event) => {
    event.preventDefault()
    attempt(() => visit.me ?? signIn(event.target.elements)) // pressed twice, the second has nothing left to do
  })
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      choose(button.dataset.language)
      show()
    })
  }
  setInterval(showLife, 1000)
}

// Cookies belong to the name of the host: the shop must be called what Propylon is called.
const { hostname } = new URL(about.propylon)
if (location.hostname !== hostname && LOOPBACK.includes(location.hostname) && LOOPBACK.includes(hostname)) {
  location.replace(Object.assign(new URL(location.href), { hostname }))
} else {
  begin()
  listen()
  showTexts()
  showGoods()
  await attempt(arrive)
  document.documentElement.dataset.ready = "yes"
}
