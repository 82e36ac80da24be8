// One sign-in, three ways to travel. The only file of the page that knows which.

const REFRESH = "/v1/session/tokens"
const REMEMBERED = "stoa.mode"

// What a server refuses. `code` is for programs, `title` and `detail` are for people, in their language.
export class Problem extends Error {
  constructor({ code = "unreachable", title = "", detail = "" }) {
    super(detail || title || code)
    Object.assign(this, { code, title, detail })
  }
}

export class Session {
  mode = null // "cookie", "bearer", "hybrid"; null while signed out
  token = null // { value, endsAt, life_s } in the modes that have one. In memory alone: a reload forgets it.
  refreshToken = null // in mode "bearer"
  #renewing = null

  // `language` returns the tag that answers should be in; `travelled` is told of every request.
  constructor(propylon, { language, travelled }) {
    Object.assign(this, { propylon, language, travelled })
  }

  async signIn(mode, email, password) {
    const body = { mode, email, password }
    const signedIn = await this.#send("POST", `${this.propylon}/v1/sessions`, { body, carries: "password" })
    this.#hold(mode, signedIn)
  }

  // After a reload, or on the way back from Propylon's own page: is somebody signed in already?
  async resume() {
    try {
      this.mode = "cookie"
      return await this.fetch("GET", "/api/me")
    } catch (problem) {
      this.mode = null
      if (localStorage.getItem(REMEMBERED) === "hybrid") return await this.#resumeHybrid()
      if (problem.code === "credential_missing") return null
      throw problem
    }
  }

  async signOut() {
    try {
      await this.#withToken((authorization) =>
        this.#send("DELETE", `${this.propylon}/v1/session`, { ...authorization, ambient: this.mode !== "bearer" }),
      )
    } finally {
      this.forget()
    }
  }

  // A request to the shop. A token that has run out is renewed once, and the request repeated.
  fetch(method, path, { body, headers } = {}) {
    return this.#withToken((authorization) =>
      this.#send(method, path, { body, headers, ...authorization, ambient: this.mode === "cookie" }),
    )
  }

  // However many requests find the token expired at once: one renewal serves them all.
  renew() {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null))
    return this.#renewing
  }

  forget() {
    this.mode = this.token = this.refreshToken = null
    localStorage.removeItem(REMEMBERED)
  }

  async #renew() {
    const hybrid = this.mode === "hybrid"
    const tokens = await this.#send("POST", this.propylon + REFRESH, {
      body: hybrid ? undefined : { refresh_token: this.refreshToken },
      carries: hybrid ? "refresh-cookie" : "refresh-body",
      ambient: hybrid,
    })
    this.#hold(this.mode, tokens)
  }

  async #resumeHybrid() {
    this.mode = "hybrid"
    try {
      await this.renew()
      return await this.fetch("GET", "/api/me")
    } catch (problem) {
      this.forget()
      if (problem.code === "credential_missing") return null
      throw problem
    }
  }

  async #withToken(send) {
    const authorization = () =>
      this.token
        ? { headers: { Authorization: `Bearer ${this.token.value}` }, carries: "token" }
        : { carries: this.mode === "cookie" ? "cookie" : "nothing" }
    try {
      return await send(authorization())
    } catch (problem) {
      if (problem.code !== "token_expired" || !this.token) throw problem
      await this.renew()
      return await send(authorization())
    }
  }

  #hold(mode, { access_token: value, expires_in: life_s, refresh_token }) {
    this.mode = mode
    localStorage.setItem(REMEMBERED, mode)
    if (value) this.token = { value, life_s, endsAt: Date.now() + life_s * 1000 }
    if (refresh_token) this.refreshToken = refresh_token
  }

  async #send(method, url, { body, headers = {}, carries, ambient = true }) {
    const started = performance.now()
    const request = { method, headers: { "Accept-Language": this.language(), ...headers } }
    // "omit" where a token travels: what a page does not send, nobody can take for something else.
    request.credentials = ambient ? "include" : "omit"
    if (body !== undefined) {
      request.headers["Content-Type"] = "application/json"
      request.body = JSON.stringify(body)
    }
    const response = await fetch(url, request).catch(() => null)
    const answer = response && (await response.json().catch(() => ({}))) // 204 has no body
    const took_ms = performance.now() - started
    this.travelled({ method, url, carries, status: response?.status, code: answer?.code, took_ms })
    if (!response?.ok) throw new Problem(answer ?? {})
    return answer
  }
}
