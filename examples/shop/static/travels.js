// What travels: every request of this page, as it leaves and as it is answered. The shop shows it; nothing depends on it.

import { at, make } from "/elements.js"
import { say, shortened } from "/texts.js"

const MAX_TRAVELS = 40
let travels = []

// Notes each request that goes through `fetch`, the browser client's included, and tells `seen` what of the sign-in the
// page has seen in it. What is in an HttpOnly cookie it does not see, and neither could a foreign script.
export const watch = ({ seen, mode }) => {
  const send = globalThis.fetch
  globalThis.fetch = async (input, init) => {
    const started = performance.now()
    const request = new Request(input, init)
    const token = request.headers.get("Authorization")?.slice("Bearer ".length)
    const { method, url } = request
    const one = { method, url, token, carries: token ? "token" : carried(request, init, mode()) }
    if (token) seen(read(token))
    const note = (facts) => {
      travels = [{ ...one, ...facts, took_ms: performance.now() - started }, ...travels].slice(0, MAX_TRAVELS)
      showTravels()
    }
    try {
      const answer = await send(request)
      const said = await spoken(answer)
      note({ status: answer.status, code: said?.code })
      if (said?.access_token) seen({ ...read(said.access_token), refreshToken: said.refresh_token })
      return answer
    } catch (error) {
      note({ status: 0 })
      throw error
    }
  }
}

// A copy of what is JSON. A stream of events never ends, and a copy that nobody reads would grow with it.
const spoken = (answer) =>
  answer.headers.get("Content-Type")?.includes("json") ? answer.clone().json().catch(() => null) : null

const carried = ({ method, url, credentials }, init, mode) => {
  const { pathname } = new URL(url)
  if (method === "POST" && pathname.endsWith("/v1/sessions")) return "password"
  if (credentials === "omit" && !init?.body) return "nothing"
  if (!pathname.endsWith("/v1/session/tokens") || mode === "cookie") return "cookie"
  return /refresh_token/.test(init?.body) ? "refresh-body" : "refresh-cookie"
}

// When a token ends is written in it. It is shown and not believed: only who has the key can check it, and here nobody has.
const read = (value) => {
  const { exp, iat } = JSON.parse(atob(value.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")))
  return { value, life_s: exp - iat, endsAt: exp * 1000 }
}

export const left_s = ({ endsAt }) => Math.max(0, (endsAt - Date.now()) / 1000)

const shownCarried = ({ carries, code, token }) => {
  const headers = {
    token: () => `Authorization: Bearer ${shortened(token)}`,
    cookie: () => "Cookie: propylon=…",
    "refresh-cookie": () => "Cookie: propylon-refresh=…",
    "refresh-body": () => '{"refresh_token": "…"}',
    password: () => '{"email": "…", "password": "…"}',
  }
  return carries === "nothing" || code === "credential_missing" ? say("nothing") : make("code", {}, headers[carries]())
}

export const showTravels = () => {
  const rows = travels.map((one) => {
    const { pathname, origin } = new URL(one.url, location.href)
    const where = origin === location.origin ? "stoa" : "propylon"
    const to = make("span", { className: `where where--${where}` }, where)
    const status = make("code", { className: `status status--${String(one.status)[0]}` }, String(one.status || "—"))
    const answer = make("td", {}, status, one.status ? (one.code ?? "") : say("unreachable"))
    const took = make("td", { className: "number" }, `${Math.max(1, Math.round(one.took_ms))} ms`)
    const request = make("td", {}, to, make("code", {}, `${one.method} ${pathname}`))
    return make("tr", {}, request, make("td", {}, shownCarried(one)), answer, took)
  })
  at("travels").replaceChildren(...rows)
}
