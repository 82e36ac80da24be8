// One sign-in, three ways to travel. The only file of the page that knows which.

const REMEMBERED = "stoa.mode"
// With less than this share of its life left, a token is renewed before the request, which would be refused on the way.
const RENEWED_WITH_LEFT = 0.1

// What a server refuses. `code` is for programs, `title` and `detail` are for people, in their language.
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", title = "", detail = "", errors = [] }) {
    super(detail || title || code)
    Object.assign(this, { status, code, title, detail, errors })
  }
}

export class Session {
  #held = null // what this sign-in holds: { mode, token, refreshToken }; null while signed out

  // `language` returns the tag that answers should be in; `travelled` is told of every request.
  constructor(propylon, { language, travelled }) {
    Object.assign(this, { propylon, language, travelled })
  }

  // "cookie", "bearer" or "hybrid".
  get mode() {
    return this.#held?.mode ?? null
  }

  // { value, endsAt, life_s } in the modes that have one. In memory alone: a reload forgets it.
  get token() {
    return this.#held?.token ?? null
  }

  // In mode "bearer". In mode "hybrid" the browser keeps it, where no script can read it.
  get refreshToken() {
    return this.#held?.refreshToken ?? null
  }

  async signIn(mode, email, password) {
    const answer = await this.#send("POST", `${this.propylon}/v1/sessions`, {
      body: { mode, email, password },
      carries: "password",
    })
    this.#hold(received({ mode }, answer))
  }

  // After a reload, or on the way back from Propylon's own page: is somebody signed in already?
  async resume() {
    const before = localStorage.getItem(REMEMBERED)
    // A cookie first: in every mode, Propylon's own page may have signed somebody in since.
    const me = (await this.#tryOut("cookie", before)) ?? (before === "hybrid" ? await this.#tryOut("hybrid", before) : null)
    if (!me) this.forget()
    return me
  }

  // Ends the session, whatever it travels as. Where there is no answer it goes on, and so does this page.
  async signOut() {
    await this.#withToken("DELETE", `${this.propylon}/v1/session`, { credentials: "include" })
    this.forget()
  }

  // Whether the session of the tokens has been handed to the browser as a cookie too.
  get inCookieToo() {
    return Boolean(this.#held?.inCookieToo)
  }

  // The same session as a cookie too: Propylon's own pages then open signed in.
  async handOver() {
    const held = this.#held
    await this.#withToken("POST", `${this.propylon}/v1/session/cookie`, { credentials: "include" })
    held.inCookieToo = true
  }

  // A request to the shop.
  fetch(method, path, { body, headers } = {}) {
    return this.#withToken(method, path, { body, headers })
  }

  renew() {
    return this.#renewOnce(this.#held)
  }

  forget() {
    this.#held = null
    localStorage.removeItem(REMEMBERED)
  }

  async #tryOut(mode, before) {
    this.#held = { mode }
    try {
      if (mode === "hybrid") await this.renew()
      const me = await this.fetch("GET", "/api/me")
      this.#hold(this.#held)
      return me
    } catch (problem) {
      this.#held = null
      if (problem.status !== 401) throw problem
      // Whoever was signed in that way is told what became of it; anybody else has nothing to be told.
      if (mode !== before || problem.code === "credential_missing") return null
      this.forget()
      throw problem
    }
  }

  // Renewed shortly before its end, or once after a refusal, and then the request is sent again. A second refusal is final.
  async #withToken(method, url, options) {
    const held = this.#held
    if (held?.token && left_s(held.token) < held.token.life_s * RENEWED_WITH_LEFT) await this.#renewEarly(held)
    const used = held?.token
    try {
      return await this.#send(method, url, carrying(held, options))
    } catch (problem) {
      if (problem.code !== "token_expired" || !used) throw problem
      // Another request may have renewed it while this one was on its way.
      if (held.token === used) await this.#renewOnce(held)
      return await this.#send(method, url, carrying(held, options))
    }
  }

  async #renewEarly(held) {
    try {
      await this.#renewOnce(held)
    } catch (problem) {
      // Without an answer, the token may do for this once more; a refusal is the end.
      if (problem.status === 401) throw problem
    }
  }

  // However many requests want a new token at once: one renewal serves them all.
  #renewOnce(held) {
    held.renewing ??= this.#renew(held).finally(() => (held.renewing = null))
    return held.renewing
  }

  // Changes only what it was asked to renew: somebody else may have signed in meanwhile.
  async #renew(held) {
    const url = `${this.propylon}/v1/session/tokens`
    const how =
      held.mode === "hybrid"
        ? { carries: "refresh-cookie", credentials: "include" }
        : { carries: "refresh-body", credentials: "omit", body: { refresh_token: held.refreshToken } }
    received(held, await this.#send("POST", url, how))
  }

  #hold(held) {
    this.#held = held
    localStorage.setItem(REMEMBERED, held.mode)
  }

  async #send(method, url, { body, headers = {}, carries, credentials = "include" }) {
    const started = performance.now()
    const request = { method, credentials, headers: { "Accept-Language": this.language(), ...headers } }
    if (body !== undefined) {
      request.headers["Content-Type"] = "application/json"
      request.body = JSON.stringify(body)
    }
    const response = await fetch(url, request).catch(() => null)
    const answer = response && (await response.json().catch(() => ({}))) // 204 has no body
    const { status = 0 } = response ?? {}
    const token = request.headers.Authorization?.slice("Bearer ".length)
    this.travelled({ method, url, carries, token, status, code: answer?.code, took_ms: performance.now() - started })
    if (!response?.ok) throw new Problem({ ...answer, status })
    return answer
  }
}

export const left_s = ({ endsAt }) => Math.max(0, (endsAt - Date.now()) / 1000)

// What one request carries. With a token no cookie is sent: what is not there, nobody can take for something else.
const carrying = (held, { headers, ...options }) =>
  held?.token
    ? { credentials: "omit", ...options, carries: "token", headers: { ...headers, Authorization: `Bearer ${held.token.value}` } }
    : { ...options, carries: "cookie", headers }

const received = (held, { access_token: value, expires_in: life_s, refresh_token }) => {
  if (value) held.token = { value, life_s, endsAt: Date.now() + life_s * 1000 }
  if (refresh_token) held.refreshToken = refresh_token
  return held
}
