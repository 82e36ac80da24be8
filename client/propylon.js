// Explained in docs/client.md.

/** @import { Call, Events, Held, Kept, Options, Problem, SignIn, Who } from "./types.js" */

// A cookie shows nobody whose it is: after so long without a request, that is asked first.
const COOKIE_SURE_S = 300
// The server says something every 15 seconds.
const SILENCE_MS = 45_000
// A tab that sleeps passes nothing on.
const SIBLING_WITHIN_MS = 1_000
const locks = globalThis.navigator?.locks
// Ends that nobody brought about from elsewhere.
const BY_ITSELF = ["signed_out", "user_changed", "session_expired", "credential_missing", "credential_malformed"]

/** @type {Record<string, [string, string]>} */
const SAID = {
  credential_missing: ["Nobody is signed in.", "로그인하지 않았습니다."],
  user_changed: ["Somebody else has signed in here.", "다른 사용자가 로그인했습니다."],
  token_expiring: ["The sign-in ends too soon for this.", "로그인이 곧 만료됩니다."],
  body_not_repeatable: ["Please send it again.", "다시 보내 주세요."],
  unreachable: ["The sign-in service does not answer.", "로그인 서비스가 응답하지 않습니다."],
}

/** `code` is for programs, `title` and `detail` for people. */
export class PropylonError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail || problem.code)
    this.name = "PropylonError"
    this.code = problem.code
    /** HTTP status; 0 where there was no answer. */
    this.status = problem.status ?? 0
    this.title = problem.title ?? ""
    this.detail = problem.detail ?? ""
    /** All that was said. */
    this.problem = problem
  }
}

const now = () => ({ at: Date.now(), since: performance.now() })
// While a laptop sleeps, a steady clock may stand still: whichever says more counts.
/** @param {{ at: number, since: number, life: number }} held seconds */
const left_s = ({ at, since, life }) => life - Math.max(Date.now() - at, performance.now() - since) / 1000
/** @param {Held} held of another tab, whose steady clock is another one */
const heard = (held) => ({ ...held, since: performance.now() - Math.max(0, Date.now() - held.at) })
/** @param {number} ms */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
/** @param {any} error whether Propylon itself has said no, and not something in between */
const isRefusal = (error) => error.status === 401 && error.code !== "answer_unreadable"
/** @param {any} who @returns {any} */
const byCookie = ({ user, session }) => ({ mode: "cookie", sid: session.id, user: user.id, life: COOKIE_SURE_S })
/** @param {any} answer @returns {any} what it gives; whose it is, unverified: only to be compared */
const byTokens = ({ access_token: token, expires_in: life, refresh_token: refresh }) => {
  const { sid, sub: user } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")))
  return { sid, user, token, refresh, life }
}
/** @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>} */
const unless = (promise, signal) =>
  new Promise((done, failed) => {
    const aborted = () => failed(signal.reason)
    signal.aborted ? aborted() : signal.addEventListener("abort", aborted)
    promise.then(done, failed).finally(() => signal.removeEventListener("abort", aborted))
  })

/**
 * One sign-in, shared by all tabs of an origin.
 *
 * Events: `signed-in`, `signed-out`, `evicted`, `renewed`, `reauthentication-required`.
 */
export class Propylon extends /** @type {new () => Events} */ (EventTarget) {
  #options
  #url
  #origins
  #name
  /** @type {Held | null} */
  #held = null
  /** @type {string | null} whose page this is, also after the session: nobody else goes on with what was begun */
  #owner = null
  /** @type {Problem | null} why nobody is signed in any more */
  #over = null
  #restored = false
  #used = false
  #moving = false
  #lasts = { at: 0, since: 0, life: 0 }
  /** @type {Promise<any>} */
  #turn = Promise.resolve()
  /** @type {Promise<void> | null} */
  #renewing = null
  /** @type {Promise<Who | null> | null} */
  #restoring = null
  /** @type {Set<Kept>} */
  #kept = new Set()
  /** @type {any} */
  #timer
  /** @type {AbortController | null} */
  #stream = null
  #streamed = ""
  /** @type {BroadcastChannel | undefined} */
  #channel
  /** @type {(value?: any) => void} */
  #heard = () => {}
  /** @type {(value?: any) => void} */
  #unmark = () => {}

  /** @param {Options} [options] */
  constructor(options = {}) {
    super()
    this.#options = { timeoutMs: 10_000, ...options }
    const page = globalThis.location?.origin ?? "null"
    this.#url = new URL(options.url ?? ".", options.url ? globalThis.location?.href : import.meta.url).href.replace(/\/+$/, "")
    this.#origins = new Set([this.#url, page, ...(options.origins ?? [])].map((one) => (one === "null" ? one : new URL(one).origin)))
    this.#origins.delete("null") // the origin of every file and sandbox
    this.#name = `propylon ${this.#url}`
    if (new URL(this.#url).origin !== page) import("./propylon-origins.js").then((it) => it.watch(this, this.#url, this.#origins)).catch(() => {})
    try {
      this.#channel = new BroadcastChannel(this.#name)
      this.#channel.addEventListener("message", ({ data }) => this.#hear(data))
    } catch {} // blocked: this tab is on its own
  }

  /**
   * Signs in.
   * @param {SignIn} person
   * @returns {Promise<Who>}
   */
  signIn({ email, password, remember, mode = this.#options.mode, end }) {
    return this.#alone(async () => {
      const [moment, before] = [now(), this.#held]
      const body = { email, password, remember, mode, end }
      const credentials = mode === "bearer" ? "omit" : "include"
      const answer = await this.#call("POST", "/v1/sessions", { body, credentials, needs: "session" })
      const { user, session } = answer
      // Nobody could end the one before any more. Without cookies, or the answer would clear the new ones.
      if (before?.token && before.sid !== session.id) this.#call("DELETE", "/v1/session", { token: before.token }).catch(() => {})
      const held = session.mode === "cookie" ? byCookie(answer) : byTokens(answer)
      await this.#hold({ ...held, mode: session.mode, ...moment }, { user, session })
      return { user, session }
    })
  }

  /** Signs out, in all tabs; rejects where Propylon does not answer. */
  async signOut() {
    await this.#ready()
    await this.#alone(async () => {
      if (this.#held && left_s(this.#held) < this.#held.early) await this.#renewNow(this.#held)
      if (this.#held) await this.#call("DELETE", "/v1/session", this.#by(this.#held)).catch((error) => isRefusal(error) || Promise.reject(error))
      this.#end({ code: "signed_out" }, { leave: true })
    })
  }

  /**
   * Says who is signed in, as `GET /v1/session` does; null when nobody is.
   * @returns {Promise<Who | null>}
   */
  async session() {
    if (!this.#held) {
      const who = await this.#restore()
      if (who || !this.#held) return who
    }
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    try {
      const request = new Request(`${this.#url}/v1/session`, { headers: this.#language(), signal })
      const answer = await this.#send(request, false, false)
      return answer.status === 401 ? null : await this.#read(answer, "session")
    } catch (error) {
      throw this.#failed(error, signal)
    }
  }

  /**
   * As `fetch`, with what the mode needs; repeated once after a refusal, resumed when the person is there again.
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async fetch(input, init) {
    const base = globalThis.document?.baseURI ?? `${this.#url}/`
    const request = new Request(input instanceof Request ? input : new URL(input, base), init)
    if (!this.#origins.has(new URL(request.url).origin) || request.headers.has("Authorization")) return fetch(request)
    return this.#send(request, true, init?.body instanceof ReadableStream)
  }

  /**
   * The sign-in lasts for so many seconds from now, or this rejects.
   * @param {number} seconds
   */
  async ensureFresh(seconds) {
    await this.#ready()
    this.#used = true
    const held = this.#held
    if (held && !held.token) await this.#alone(() => this.#renewNow(held))
    else if (held && left_s(held) < seconds) await this.#renew(held)
    if (left_s(this.#held?.token ? this.#required() : this.#required() && this.#lasts) < seconds) throw this.#error("token_expiring")
  }

  /**
   * Proves again who is there; what has waited for that goes on.
   * @param {string} password
   */
  async confirm(password) {
    await this.#ready()
    await this.#alone(async () => {
      if (left_s(this.#required()) < this.#required().early) await this.#renewNow(this.#required())
      await this.#call("POST", "/v1/session/confirm", { ...this.#by(this.#required()), body: { password } })
      await this.#renewNow(this.#required(), true) // a token that says so
    })
  }

  /** Lets go of all. */
  close() {
    clearTimeout(this.#timer)
    this.#stream?.abort()
    this.#unmark()
    this.#channel?.close()
    this.#channel = undefined
  }

  // Requests

  /** @param {Request} request @param {boolean} keep @param {boolean} streamed @returns {Promise<Response>} */
  async #send(request, keep, streamed) {
    const { signal } = request
    await unless(this.#ready(), signal)
    const owner = this.#owner
    let [sent, repeated, resumed] = [false, false, false]
    for (;;) {
      const before = this.#held
      this.#used = true
      await unless(this.#fresh(), signal)
      const held = this.#held
      if (owner && this.#owner !== owner) throw this.#error(held ? "user_changed" : "credential_missing")
      let [answer, problem] = [/** @type {Response | null} */ (null), this.#over]
      if (held || !before) {
        if (sent && streamed) throw this.#error("body_not_repeatable")
        sent = true
        answer = await fetch(this.#dressed(request, streamed, held))
        this.#notice(answer)
        if (answer.status !== 401) {
          if (held && !held.token) Object.assign(held, now())
          return answer
        }
        problem = await answer.clone().json().catch(() => null)
        if (problem?.code === "credentials_wrong") return answer
        if (held && this.#owner === owner && problem?.code !== "reauthentication_required") {
          if (repeated) return answer
          repeated = true
          if (this.#held === held) await unless(this.#renew(held), signal)
          if (this.#held) continue
          problem = this.#over
        }
        if (this.#owner !== owner && this.#held) throw this.#error("user_changed")
      }
      problem ??= { code: "credential_missing", status: 401 }
      if (!keep || resumed || !(await this.#interrupted(problem, owner, signal))) {
        if (answer) return answer
        throw new PropylonError(problem)
      }
      resumed = true
    }
  }

  /** @param {Request} request @param {boolean} streamed @param {Held | null} held */
  #dressed(request, streamed, held) {
    const headers = new Headers(request.headers)
    if (held?.token) headers.set("Authorization", `Bearer ${held.token}`)
    const credentials = held && !held.token && request.credentials === "same-origin" ? "include" : request.credentials
    return new Request(streamed ? request : request.clone(), { headers, credentials })
  }

  /**
   * Keeps a request until the person is there again, if somebody sees to that.
   * @param {Problem} problem @param {string | null} owner @param {AbortSignal} signal @returns {Promise<boolean>}
   */
  #interrupted(problem, owner, signal) {
    const detail = { ...problem, resume: () => this.#settle(), cancel: () => this.#settle((one) => one.done(false)) }
    if (!this.#kept.size && !this.#emit("reauthentication-required", detail)) return Promise.resolve(false)
    const kept = new Promise((done, failed) => {
      const one = { owner, done, failed }
      this.#kept.add(one)
      signal.addEventListener("abort", () => this.#kept.delete(one))
    })
    return unless(kept, signal)
  }

  /** @param {(one: Kept) => void} [how] */
  #settle(how = (one) => (one.owner && one.owner !== this.#owner ? one.failed(this.#error("user_changed")) : one.done(true))) {
    const kept = [...this.#kept]
    this.#kept.clear()
    kept.forEach(how)
  }

  // What this tab holds

  /** @param {Held} held @param {Who} [who] of a sign-in @param {{ told?: boolean, confirmed?: boolean }} [how] */
  async #hold(held, who, { told = false, confirmed = false } = {}) {
    if (!told) held.n = 1 + Math.max(this.#held?.n ?? 0, await this.#newest())
    held.early = held.token ? held.life * (0.1 + Math.random() / 10) : 0
    const before = this.#held
    const [stranger, another] = [this.#owner && this.#owner !== held.user, before?.sid !== held.sid]
    this.#held = held
    this.#owner = held.user
    this.#over = null
    this.#restored = true
    await this.#mark(held.n)
    if (!told) this.#post({ held, who, confirmed })
    this.#store(held)
    this.#arm(held)
    this.#follow(held.sid)
    this.#heard()
    if (before && stranger) this.#emit("signed-out", this.#error("user_changed").problem)
    if (who && (!told || !before || stranger)) this.#emit("signed-in", who)
    else if (!another) this.#emit("renewed", { expiresInS: held.life })
    if (another || confirmed) this.#settle()
  }

  /** @param {Problem} problem why nobody is signed in any more @param {{ leave?: boolean, told?: boolean }} [how] */
  #end(problem, { leave = false, told = false } = {}) {
    const sid = this.#held?.sid
    const known = !sid && (leave || this.#over) // the stream was faster
    this.#held = null
    this.#over = leave ? null : problem
    clearTimeout(this.#timer)
    this.#stream?.abort()
    this.#streamed = ""
    this.#unmark()
    this.#store(null)
    if (!told) this.#post({ over: problem, sid, leave })
    if (leave) {
      this.#owner = null
      this.#settle((one) => one.failed(this.#error("credential_missing")))
    }
    if (known) return
    if (!BY_ITSELF.includes(problem.code)) this.#emit("evicted", problem)
    this.#emit("signed-out", problem)
  }

  /** @returns {Held} */
  #required() {
    if (!this.#held) throw new PropylonError(this.#over ?? this.#error("credential_missing", 401).problem)
    return this.#held
  }

  async #ready() {
    if (!this.#held && !this.#restored) await this.#restore()
  }

  /** @returns {Promise<Who | null>} */
  #restore() {
    this.#restoring ??= this.#alone(() => this.#find()).finally(() => (this.#restoring = null))
    return this.#restoring
  }

  /** @returns {Promise<Who | null>} */
  async #find() {
    if (this.#held || (await this.#othersHave(0))) return null
    const { mode } = this.#options
    const stored = this.#stored()
    if (stored) return this.#hold(stored).then(() => null)
    const moment = now()
    /** @type {Problem | undefined} */
    let problem
    /** @param {any} error */
    const refused = (error) => {
      if (!isRefusal(error)) throw error
      if (error.code !== "credential_missing") problem = error.problem
    }
    const credentials = "include"
    const cookies = mode !== "bearer" && mode !== "hybrid"
    const who = cookies ? await this.#call("GET", "/v1/session", { credentials, needs: "session" }).catch(refused) : null
    const tokens = !who && (!mode || mode === "hybrid") ? await this.#tokens({ credentials }).catch(refused) : null
    this.#restored = true
    if (who) await this.#hold({ ...byCookie(who), ...moment })
    else if (tokens) await this.#hold({ ...byTokens(tokens), mode: "hybrid", ...moment })
    else if (problem) this.#end(problem)
    return who ?? null
  }

  // Renewal

  async #fresh() {
    const held = this.#held
    const left = held ? left_s(held) : 0
    if (!held || left > held.early) return
    const renewed = this.#renew(held)
    if (left > held.early / 2) return void renewed.catch(() => {}) // what there is will do meanwhile
    await renewed.catch((error) => (left_s(held) > 0 ? undefined : Promise.reject(error)))
  }

  /** One renewal for all who want it, in all tabs. @param {Held} held */
  #renew(held) {
    this.#renewing ??= this.#alone(async () => {
      if (this.#held === held && !(await this.#othersHave(held.n))) await this.#renewNow(held)
    }).finally(() => (this.#renewing = null))
    return this.#renewing
  }

  /** @param {Held} held @param {boolean} [confirmed] */
  async #renewNow(held, confirmed) {
    const moment = now()
    try {
      let who, next
      if (held.token) {
        next = byTokens(await this.#tokens(held.refresh ? { body: { refresh_token: held.refresh } } : { credentials: "include" }))
        if (next.sid !== held.sid) who = await this.#call("GET", "/v1/session", { token: next.token, needs: "session" })
      } else {
        who = await this.#call("GET", "/v1/session", { credentials: "include", needs: "session" })
        next = byCookie(who)
      }
      await this.#hold({ ...next, mode: held.mode, ...moment }, next.sid === held.sid ? undefined : who, { confirmed })
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (this.#held === held) this.#end(/** @type {PropylonError} */ (error).problem)
    }
  }

  /** The answer may be lost; who asks again with the same gets the same. @param {Call} how */
  #tokens(how) {
    const ask = () => this.#call("POST", "/v1/session/tokens", { needs: "access_token", ...how })
    return ask().catch((error) => (error.status ? Promise.reject(error) : sleep(100 + Math.random() * 300).then(ask)))
  }

  /** The server has another mode now: this session goes along. @param {Response} answer */
  #notice(answer) {
    const mode = /** @type {any} */ (answer.headers.get("Propylon-Mode"))
    if (!mode || !this.#held || mode === this.#held.mode || this.#moving) return
    this.#moving = true
    const done = () => (this.#moving = false)
    this.#alone(async () => {
      const [held, moment] = [this.#required(), now()]
      if (held.mode === mode) return
      if (mode === "cookie") {
        await this.#call("POST", "/v1/session/cookie", this.#by(held))
        return this.#hold({ ...held, token: undefined, refresh: undefined, life: COOKIE_SURE_S, mode, ...moment })
      }
      const tokens = byTokens(await this.#tokens({ credentials: "include", body: held.refresh ? { refresh_token: held.refresh } : undefined }))
      if (mode === "hybrid" || tokens.refresh) await this.#hold({ ...tokens, mode, ...moment })
    }).then(done, done)
  }

  /** Ahead of time, if the page was used: an open tab keeps nobody signed in. @param {Held} held */
  #arm(held) {
    clearTimeout(this.#timer)
    this.#used = false
    const renew = () => this.#used && this.#held === held && this.#renew(held).catch(() => {})
    if (held.token) this.#timer = setTimeout(renew, (left_s(held) - held.early) * 1000)
  }

  // Other tabs

  /** One tab at a time changes what all hold. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async #alone(work) {
    let begun = false
    const locked = () => ((begun = true), work())
    try {
      const signal = AbortSignal.timeout(3 * this.#options.timeoutMs)
      return await locks.request(this.#name, { signal }, locked)
    } catch (error) {
      if (begun) throw error
      // None, or a tab that sleeps holds it. The server bears it.
      this.#turn = this.#turn.catch(() => {}).then(work)
      return this.#turn
    }
  }

  /** Who holds the n-th holds a lock that says so: all tabs see locks alike. @returns {Promise<number>} */
  async #newest() {
    const { held = [] } = (await locks?.query().catch(() => null)) ?? {}
    return Math.max(0, ...held.map(({ name }) => Number(name?.split(`${this.#name} #`)[1]) || 0))
  }

  /** @param {number} n */
  #mark(n) {
    const before = this.#unmark
    return new Promise((marked) => {
      const hold = () => new Promise((release) => (before(), (this.#unmark = release), marked(0)))
      locks ? locks.request(`${this.#name} #${n}`, { mode: "shared" }, hold).catch(marked) : marked(0)
    })
  }

  /** @param {number} n */
  async #othersHave(n) {
    if ((await this.#newest()) <= n) return false
    if ((this.#held?.n ?? 0) <= n) {
      const answer = new Promise((done) => (this.#heard = done))
      this.#post({ ask: true })
      await Promise.race([answer, sleep(SIBLING_WITHIN_MS)])
    }
    return (this.#held?.n ?? 0) > n
  }

  /** @param {any} message */
  #post(message) {
    this.#channel?.postMessage(message)
  }

  /** @param {any} message */
  #hear({ held, who, confirmed, over, sid, leave }) {
    if (over) {
      if (this.#held?.sid === sid) this.#end(over, { leave, told: true })
    } else if (!held) {
      if (this.#held) this.#post({ held: this.#held })
    } else if (held.n > (this.#held?.n ?? 0)) {
      this.#hold(heard(held), who, { told: true, confirmed })
    }
  }

  /** @returns {any} */
  get #storage() {
    return /** @type {any} */ (globalThis)[this.#options.unsafe_storage ?? ""]
  }

  /** @returns {any} */
  #stored() {
    try {
      const held = JSON.parse(this.#storage.getItem(this.#name))
      return held && heard(held)
    } catch {} // none, blocked, or not ours
  }

  /** @param {Held | null} held */
  #store(held) {
    try {
      held?.token ? this.#storage.setItem(this.#name, JSON.stringify(held)) : this.#storage.removeItem(this.#name)
    } catch {} // none, blocked, or full
  }

  // The end, as it happens: one tab holds the stream and tells the others

  /** @param {string} sid */
  #follow(sid) {
    if (this.#options.events === false || this.#streamed === sid) return
    this.#stream?.abort()
    this.#streamed = sid
    const { signal } = (this.#stream = new AbortController())
    const lead = async () => {
      for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 30_000)) {
        if (await this.#listen(sid, signal).catch(() => false)) wait = 500
        await unless(sleep(wait * (0.5 + Math.random())), signal).catch(() => {})
      }
    }
    locks ? locks.request(`${this.#name} events`, { signal }, lead).catch(() => {}) : lead()
  }

  /** @param {string} sid @param {AbortSignal} signal @returns {Promise<boolean>} whether there was a stream */
  async #listen(sid, signal) {
    const held = this.#required()
    if (held.token && left_s(held) <= 0) return false // a stream is no reason to renew
    const stop = new AbortController()
    const abort = () => stop.abort()
    /** @type {any} */
    let silence
    const alive = () => {
      clearTimeout(silence)
      silence = setTimeout(abort, SILENCE_MS)
    }
    signal.addEventListener("abort", abort)
    alive()
    try {
      const headers = this.#language(held.token)
      const credentials = held.token ? "omit" : "include"
      const answer = await fetch(`${this.#url}/v1/session/events`, { headers, credentials, cache: "no-store", signal: stop.signal })
      if (!answer.ok) await this.#read(answer)
      if (!answer.body || !/event-stream/.test(answer.headers.get("Content-Type") ?? "")) return false
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      for (let text = ""; ; ) {
        const { done, value } = await unless(reader.read(), stop.signal)
        if (done) return true
        alive()
        const events = (text + value).split("\n\n")
        text = events.pop() ?? ""
        for (const event of events) {
          const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(event) ?? []
          if (name && this.#held?.sid === sid) this.#told(name, JSON.parse(data), this.#held)
        }
      }
    } catch (error) {
      const { code, problem } = /** @type {any} */ (error)
      if (isRefusal(error) && /^session_|^user_/.test(code) && this.#held?.sid === sid) this.#end(problem)
      return false
    } finally {
      clearTimeout(silence)
      signal.removeEventListener("abort", abort)
    }
  }

  /** @param {string} name @param {any} data @param {Held} held */
  #told(name, data, held) {
    if (name === "ended") this.#end(data)
    if (name === "signed-out") this.#end({ ...data, code: "signed_out" })
    // On a page without this client.
    if (name === "session" && data.id !== held.sid) this.#renew(held).catch(() => {})
  }

  // Talking to Propylon

  /** @param {string} [token] @returns {Record<string, string>} */
  #language(token) {
    const { language } = this.#options
    const tag = typeof language === "function" ? language() : language
    return { ...(tag && { "Accept-Language": tag }), ...(token && { Authorization: `Bearer ${token}` }) }
  }

  /** @param {Held} held @returns {Call} */
  #by({ token }) {
    return { token, credentials: "include" }
  }

  /** @param {string} method @param {string} path @param {Call} how @returns {Promise<any>} */
  async #call(method, path, { body, token, credentials = "omit", needs }) {
    const headers = this.#language(token)
    if (body) headers["Content-Type"] = "application/json"
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    try {
      const answer = await fetch(this.#url + path, { method, headers, body: body && JSON.stringify(body), credentials, cache: "no-store", signal })
      this.#notice(answer)
      return await this.#read(answer, needs)
    } catch (error) {
      throw this.#failed(error, signal)
    }
  }

  /** @param {Response} answer @param {string} [needs] what must be in it @returns {Promise<any>} */
  async #read(answer, needs) {
    if (answer.status === 204) return {}
    const { status, headers } = answer
    const text = await answer.text()
    let said
    try {
      said = JSON.parse(text)
    } catch {}
    if (answer.ok ? !needs || !said?.[needs] : typeof said?.code !== "string") throw this.#error("answer_unreadable", status)
    if (!answer.ok) throw new PropylonError({ ...said, status, retry_after_s: Number(headers.get("Retry-After")) })
    const { expires_at } = said.session ?? {}
    if (expires_at) this.#lasts = { ...now(), life: (Date.parse(expires_at) - (Date.parse(headers.get("Date") ?? "") || Date.now())) / 1000 }
    return said
  }

  /** @param {unknown} error @param {AbortSignal} signal */
  #failed(error, signal) {
    return error instanceof PropylonError ? error : this.#error(signal.aborted ? "timed_out" : "unreachable")
  }

  /** @param {string} code @param {number} [status] */
  #error(code, status = 0) {
    const tag = this.#language()["Accept-Language"] ?? globalThis.navigator?.language ?? ""
    return new PropylonError({ code, status, detail: (SAID[code] ?? SAID.unreachable)[/^ko/.test(tag) ? 1 : 0] })
  }

  /** @param {string} name @param {any} detail @returns {boolean} whether somebody has prevented what follows */
  #emit(name, detail) {
    return !this.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }))
  }
}
