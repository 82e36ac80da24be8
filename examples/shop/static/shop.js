// The page: what a visitor does, and what they see. Everything about sessions is in session.js.

import { Problem, Session } from "/session.js"
import { choose, clock, language, moment, say, shortened, won } from "/texts.js"

const MAX_TRAVELS = 40
// After these the sign-in is over, whatever the page believes.
const OVER = /^(session_|token_|user_|credential_)/

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

const about = await (await fetch("/api/shop")).json()
const catalogue = await (await fetch("/api/catalogue")).json()
const product = (id) => catalogue.find((one) => one.id === id)
const nameOf = (id) => product(id)[language()].name

const state = { me: null, cart: { lines: {}, total_krw: 0 }, orders: [], orderKey: null, ordered: null, travels: [] }

const session = new Session(about.propylon, {
  language,
  travelled(one) {
    const token = session.token && shortened(session.token.value)
    state.travels = [{ ...one, token }, ...state.travels].slice(0, MAX_TRAVELS)
    showTravels()
  },
})

// Doing ------------------------------------------------------------------------------------------------------

// Runs one thing that a visitor asked for, and shows what it was refused for.
const attempt = async (work) => {
  showProblem(null)
  try {
    await work()
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem
    if (state.me && OVER.test(problem.code)) {
      session.forget()
      enter(null)
    }
    showProblem(problem)
  }
  show()
}

const enter = (me) => Object.assign(state, { me, cart: { lines: {}, total_krw: 0 }, orders: [], ordered: null })

const look = async () => {
  enter(await session.fetch("GET", "/api/me"))
  state.cart = await session.fetch("GET", "/api/cart")
  state.orders = await session.fetch("GET", "/api/orders")
}

const change = (method, id, quantity) =>
  attempt(async () => {
    state.ordered = null
    state.cart = await session.fetch(method, `/api/cart/${id}`, { body: { quantity } })
  })

const order = () =>
  attempt(async () => {
    // Kept until there is an answer: pressing again after a lost one places nothing twice.
    state.orderKey ??= crypto.randomUUID()
    const placed = await session.fetch("POST", "/api/orders", { headers: { "Idempotency-Key": state.orderKey } })
    Object.assign(state, { orderKey: null, ordered: placed.number })
    state.cart = await session.fetch("GET", "/api/cart")
    state.orders = await session.fetch("GET", "/api/orders")
  })

// Showing ----------------------------------------------------------------------------------------------------

const showProblem = (problem) => {
  at("problem").hidden = !problem
  if (!problem) return
  const lost = problem.code === "unreachable"
  at("problem").querySelector(".problem__title").textContent = lost ? say("unreachableTitle") : problem.title
  at("problem").querySelector(".problem__detail").textContent = lost ? say("unreachableDetail") : problem.detail
  at("problem").querySelector(".problem__code").textContent = problem.code
}

const showTexts = () => {
  document.documentElement.lang = language()
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say)
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()))
  }
  const mode = at("sign-in").elements.mode.value
  at("mode-hint").textContent = say(`${mode}Hint`)
  at("elsewhere").hidden = mode !== "cookie"
  at("demo-hint").textContent = say("demo")
}

const showWho = () => {
  at("gate").hidden = Boolean(state.me)
  at("who").hidden = !state.me
  if (!state.me) return
  const { user, credential, expires_at, session_id } = state.me
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
  } else {
    facts.push([say("cookie"), say("unseen")], [say("lasts"), moment(expires_at)])
  }
  at("facts").replaceChildren(...facts.map(([name, fact]) => make("div", {}, make("dt", {}, name), make("dd", {}, fact))))
  at("life").hidden = at("renew").hidden = !session.token
  showLife()
}

const showLife = () => {
  if (!session.token) return
  const left_s = Math.max(0, (session.token.endsAt - Date.now()) / 1000)
  at("countdown").textContent = left_s ? clock(left_s) : say("expired")
  at("life-left").value = left_s / session.token.life_s
}

const showGoods = () => {
  const tiles = catalogue.map(({ id, price_krw, ...texts }) => {
    const { name, note } = texts[language()]
    const add = make("button", { type: "button", className: "button button--small", onclick: () => change("POST", id, 1) })
    add.append(say("add"))
    add.setAttribute("aria-label", say("addNamed", name))
    add.dataset.add = id
    add.disabled = !state.me
    const foot = make("div", { className: "good__foot" }, make("strong", {}, won(price_krw)), add)
    const art = make("div", { className: `art art--${id}` }, picture(id))
    return make("li", {}, art, make("h3", {}, name), make("p", { className: "muted" }, note), foot)
  })
  at("goods").replaceChildren(...tiles)
}

const showCart = () => {
  const step = (id, sign, key, quantity) => {
    const button = make("button", { type: "button", className: "step", onclick: () => change("PUT", id, quantity) }, sign)
    button.setAttribute("aria-label", say(key, nameOf(id)))
    return button
  }
  const rows = Object.entries(state.cart.lines).map(([id, count]) =>
    make(
      "li",
      {},
      make("span", { className: "lines__name" }, nameOf(id)),
      make("span", { className: "steps" }, step(id, "−", "fewer", count - 1), String(count), step(id, "+", "more", count + 1)),
      make("span", { className: "number" }, won(product(id).price_krw * count)),
    ),
  )
  at("cart-lines").replaceChildren(...rows)
  at("cart-empty").textContent = rows.length || state.ordered ? "" : say(state.me ? "cartEmpty" : "cartSignIn")
  at("cart-total").hidden = !rows.length
  at("cart-sum").textContent = won(state.cart.total_krw)
  at("ordered").textContent = state.ordered ? say("ordered", state.ordered) : ""
}

const showOrders = () => {
  at("orders").hidden = !state.orders.length
  const rows = state.orders.map(({ number, lines, total_krw, placed_at }) => {
    const count = Object.values(lines).reduce((sum, one) => sum + one, 0)
    const head = make("p", {}, make("strong", {}, say("orderNumber", number)), make("span", { className: "number" }, won(total_krw)))
    return make("li", {}, head, make("p", { className: "muted" }, `${moment(placed_at)} · ${say("pieces", count)}`))
  })
  at("order-lines").replaceChildren(...rows)
}

const carried = ({ carries, token }) => {
  const headers = {
    token: `Authorization: Bearer ${token}`,
    cookie: "Cookie: propylon=… (HttpOnly)",
    "refresh-cookie": "Cookie: propylon-refresh=… (HttpOnly)",
    "refresh-body": '{"refresh_token": "…"}',
    password: '{"email": …, "password": …}',
  }
  return headers[carries] ? make("code", {}, headers[carries]) : say("nothing")
}

const showTravels = () => {
  const rows = state.travels.map((one) => {
    const { pathname, origin } = new URL(one.url, location.href)
    const where = origin === location.origin ? "stoa" : "propylon"
    const status = [one.status ?? say("unreachable"), one.code].filter(Boolean).join(" ")
    return make(
      "tr",
      { className: one.status < 400 ? "" : "refused" },
      make("td", {}, make("span", { className: `where where--${where}` }, where), make("code", {}, `${one.method} ${pathname}`)),
      make("td", {}, carried(one)),
      make("td", {}, make("code", {}, status)),
      make("td", { className: "number" }, `${Math.max(1, Math.round(one.took_ms))} ms`),
    )
  })
  at("travels").replaceChildren(...rows)
}

const show = () => [showTexts, showWho, showGoods, showCart, showOrders, showTravels].forEach((one) => one())

// Beginning --------------------------------------------------------------------------------------------------

at("account-link").href = `${about.propylon}/account`
at("own-page").href = `${about.propylon}/login?next=${encodeURIComponent(`${location.origin}/`)}`
at("sign-in").elements.mode.value = about.mode
at("problem-close").addEventListener("click", () => showProblem(null))
at("renew").addEventListener("click", () => attempt(() => session.renew()))
at("sign-out").addEventListener("click", () => attempt(() => session.signOut().finally(() => enter(null))))
at("order").addEventListener("click", order)
at("sign-in").addEventListener("change", showTexts)
at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault()
  const { mode, email, password } = event.target.elements
  attempt(async () => {
    await session.signIn(mode.value, email.value, password.value)
    await look()
  })
})
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    choose(button.dataset.language)
    show()
  })
}
if (about.demo) {
  at("demo-hint").hidden = false
  at("sign-in").elements.email.value = about.demo.email
  at("sign-in").elements.password.value = about.demo.password
}
setInterval(showLife, 1000)
showTexts()
showGoods()
await attempt(async () => (await session.resume()) && (await look()))
document.documentElement.dataset.ready = "yes"
