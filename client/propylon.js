// Explained in docs/client.md.

/** @import { Call, Events, Held, Kept, Options, Problem, SignIn, Who } from "./types.js" */

// A cookie shows nobody whose it is: after so long, that is asked first. And no pause is longer.
const SURE_S = 300
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

export class PropylonError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    const { code, status = 0, title = "", detail = "" } = problem
    super(detail || code)
    this.name = "PropylonError"
    this.code = code
    /** 0 without an answer. */
    this.status = status
    this.title = title
    this.detail = detail
    this.problem = problem
  }
}

const NEVER = { at: 0, since: 0, life: 0 }
const now = () => ({ at: Date.now(), since: performance.now() })
// While a laptop sleeps, a steady clock may stand still.
const left_s = ({ at, since, life } = NEVER) => life - Math.max(Date.now() - at, performance.now() - since) / 1000
/** @param {Held} held of another tab, whose steady clock is another one */
const heard = (held) => ({ ...held, since: performance.now() - Math.max(0, Date.now() - held.at) })
const sleep = (ms = 0) => new Promise((done) => setTimeout(done, ms))
/** @param {any} error whether Propylon itself has said no */
const isRefusal = (error) => error.status === 401 && error.code !== "answer_unreadable"
/** @param {any} answer @returns {any} */
const byCookie = ({ user, session }) => ({ mode: "cookie", sid: session.id, user: user.id, life: SURE_S })
/** @param {any} answer @returns {any} unverified: only to be compared */
const byTokens = ({ access_token: token, expires_in: life, refresh_token: refresh }) => {
  const { sid, sub: user } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")))
  return { sid, user, token, refresh, life }
}
/** @param {string} text @returns {any} */
const parsed = (text) => {
  try {
    const said = JSON.parse(text)
    return said.access_token ? { ...said, held: byTokens(said) } : said
  } catch {}
}
/** @param {string | null} when @param {Headers} headers @returns {number} seconds from this answer */
const until_s = (when, headers) => (Date.parse(when ?? "") - (Date.parse(headers.get("Date") ?? "") || Date.now())) / 1000
/** @param {Promise<any>} promise @param {AbortSignal} signal @returns {Promise<any>} */
const unless = (promise, signal) =>
  new Promise((done, failed) => {
    const aborted = () => failed(signal.reason)
    signal.aborted ? aborted() : signal.addEventListener("abort", aborted)
    promise.then(done, failed).finally(() => signal.removeEventListener("abort", aborted))
  })

/** One sign-in, shared by all tabs of an origin. */
export class Propylon extends /** @type {new () => Events} */ (EventTarget) {
  #options
  #url
  #origins
  #name
  /** @type {Held | null} */
  #held = null
  /** @type {string | null} whose page this is, also after the session */
  #owner = null
  /** @type {Problem | null} why nobody is signed in any more */
  #over = null
  #restored = false
  #used = false
  /** under way, or refused */
  #move = ""
  #lasts = NEVER
  /** @type {any} so long renewals fail as the last one did */
  #pause = NEVER
  /** @type {any} */
  #turn = Promise.resolve()
  /** @type {any} */
  #renewing
  /** @type {any} */
  #restoring
  /** @type {Set<Kept>} */
  #kept = new Set()
  #asked = false
  /** @type {any} */
  #timer
  /** @type {any} */
  #stream
  #streamed = ""
  /** @type {any} */
  #channel
  /** @type {any} */
  #heard = () => {}
  /** @type {any} */
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
      const channel = (this.#channel = new BroadcastChannel(this.#name))
      channel.onmessage = ({ data }) => this.#hear(data)
    } catch {} // blocked
  }

  /** Signs in. @param {SignIn} person @returns {Promise<Who>} */
  signIn({ email, password, remember, mode = this.#options.mode, end }) {
    return this.#proven(async () => {
      // For its end, below.
      await this.#last().catch(() => {})
      const before = this.#held
      const moment = await this.#moment()
      const answer = await this.#call("POST", "/v1/sessions", { body: { email, password, remember, mode, end }, needs: "session" })
      const { user, session, held = byCookie(answer) } = answer
      await this.#hold({ ...held, mode: session.mode, ...moment }, { user, session })
      // Nobody could end it any more. The answer clears no new cookies.
      const credentials = session.mode === "bearer" ? "include" : "omit"
      if (before?.token && before.sid !== session.id) await this.#call("DELETE", "/v1/session", { ...before, credentials }).catch(() => {})
      return { user, session }
    })
  }

  /** Signs out, in all tabs; rejects where Propylon does not answer. */
  async signOut() {
    await this.#ready()
    await this.#alone(async () => {
      await this.#last()
      // There may be a cookie that nobody has looked for.
      await this.#call("DELETE", "/v1/session", this.#held ?? {}).catch((error) => isRefusal(error) || Promise.reject(error))
      this.#end({ code: "signed_out" }, { leave: true })
    })
  }

  /** Who is signed in, or null. @returns {Promise<Who | null>} */
  async session() {
    if (!this.#held) {
      const who = await this.#restore()
      if (who || !this.#held) return who
    }
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    try {
      const request = new Request(`${this.#url}/v1/session`, { headers: this.#language(), signal })
      const who = await this.#read(await this.#send(request, false, false), "session")
      const held = this.#held
      if (held && held.sid !== who.session.id) await this.#renew(held) // a cookie of somebody else
      return who
    } catch (problem) {
      const error = this.#failed(problem, signal)
      if (error.code === "user_changed") return this.session()
      if (isRefusal(error)) return null
      throw error
    }
  }

  /** As `fetch`, with what the mode needs. @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>} */
  async fetch(input, init) {
    const base = globalThis.document?.baseURI ?? `${this.#url}/`
    const request = new Request(input instanceof Request ? input : new URL(input, base), init)
    if (!this.#origins.has(new URL(request.url).origin) || request.headers.has("Authorization")) return fetch(request)
    return this.#send(request, true, init?.body instanceof ReadableStream)
  }

  /** The sign-in lasts for so long from now, or this rejects. @param {number} seconds */
  async ensureFresh(seconds) {
    await this.#ready()
    this.#used = true
    const held = this.#held
    if (held && !held.token) await this.#alone(() => this.#renewNow(held))
    else if (held && left_s(held) < seconds) await this.#renew(held)
    const has = this.#required()
    if (left_s(has.token ? has : this.#lasts) < seconds) throw this.#error("token_expiring")
  }

  /** Proves again who is there; what waits for that goes on. @param {string} password */
  async confirm(password) {
    await this.#ready()
    await this.#proven(async () => {
      await this.#last()
      await this.#call("POST", "/v1/session/confirm", { ...this.#required(), body: { password } })
      await this.#renewNow(this.#required(), true) // a token that says so
    })
  }

  /** Lets go of timers, stream and channel. */
  close() {
    clearTimeout(this.#timer)
    this.#stream?.abort()
    this.#unmark()
    this.#channel = this.#channel?.close()
  }

  // Requests

  /** @param {Request} request @param {boolean} keep @param {boolean} streamed */
  async #send(request, keep, streamed) {
    const { signal } = request
    let owner = this.#owner
    let sent, repeated, resumed
    for (;;) {
      this.#used = true
      await unless(this.#fresh(), signal)
      const held = this.#held
      if (owner && this.#owner !== owner) throw this.#required() && this.#error("user_changed")
      owner = this.#owner
      let answer
      let problem = this.#over
      // Never bare where it has an owner: there may be a cookie of somebody else.
      if (held || !owner) {
        if (sent && streamed) throw this.#error("body_not_repeatable")
        sent = true
        answer = await fetch(this.#dressed(request, streamed, held))
        this.#notice(answer)
        if (answer.status !== 401) return answer
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
      problem ??= this.#nobody()
      if (!keep || resumed || !(await this.#interrupted(problem, owner, signal))) {
        if (answer) return answer
        throw new PropylonError({ status: 401, ...problem })
      }
      resumed = true
    }
  }

  /** @param {Request} request @param {boolean} streamed @param {Held | null} held */
  #dressed(request, streamed, held) {
    const { referrer, referrerPolicy } = request
    const headers = new Headers(request.headers)
    if (held?.token) headers.set("Authorization", `Bearer ${held.token}`)
    const credentials = held && !held.token && request.credentials === "same-origin" ? "include" : request.credentials
    return new Request(streamed ? request : request.clone(), { headers, credentials, referrer, referrerPolicy })
  }

  /** Keeps a request, if somebody sees to it. @param {Problem} problem @param {string | null} owner @param {AbortSignal} signal */
  #interrupted(problem, owner, signal) {
    const detail = { ...problem, resume: () => this.#settle(), cancel: () => this.#settle((one) => one.done(false)) }
    const kept = new Promise((done, failed) => {
      const one = { owner, done, failed }
      const asked = this.#asked && this.#kept.size
      this.#kept.add(one)
      signal.addEventListener("abort", () => this.#kept.delete(one))
      if (asked || (this.#asked = this.#emit("reauthentication-required", detail))) return
      this.#kept.delete(one)
      done(false)
    })
    return unless(kept, signal)
  }

  /** What is refused after this asks again. @param {() => Promise<any>} work */
  #proven(work) {
    return this.#alone(work).finally(() => (this.#asked = false))
  }

  /** @param {(one: Kept) => void} [how] */
  #settle(how = (one) => (one.owner && one.owner !== this.#owner ? one.failed(this.#error("user_changed")) : one.done(true))) {
    const kept = [...this.#kept]
    this.#kept.clear()
    kept.forEach(how)
  }

  // What this tab holds

  /** @param {Held} held @param {Who} [who] of a sign-in */
  async #hold(held, who, { told = false, confirmed = false } = {}) {
    held.early = held.token ? held.life * (0.1 + Math.random() / 10) : 0
    const before = this.#held
    const [stranger, another] = [this.#owner && this.#owner !== held.user, before?.sid !== held.sid]
    this.#held = held
    this.#owner = held.user
    this.#over = null
    this.#restored = true
    this.#pause = NEVER
    if (!told) this.#post({ held, who: another && who, confirmed })
    this.#store(held)
    this.#arm(held)
    this.#follow(held.sid)
    this.#heard()
    if (before && stranger) this.#emit("signed-out", this.#error("user_changed").problem)
    if (who && another && (!told || !before || stranger)) this.#emit("signed-in", who)
    else if (!another) this.#emit("renewed", { expiresInS: held.life })
    if (another || confirmed) this.#settle()
    await this.#mark(held.n)
    if (!this.#held) this.#unmark() // it has ended meanwhile
  }

  /** @param {Problem} problem why nobody is signed in any more */
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
    if (!told && (sid || leave)) this.#post({ over: problem, sid, leave })
    if (leave) {
      this.#owner = null
      this.#settle((one) => one.failed(this.#error("credential_missing")))
    }
    if (known) return
    if (!BY_ITSELF.includes(problem.code)) this.#emit("evicted", problem)
    this.#emit("signed-out", problem)
  }

  #nobody() {
    return this.#over ?? this.#error("credential_missing", 401).problem
  }

  #required() {
    if (!this.#held) throw new PropylonError(this.#nobody())
    return this.#held
  }

  async #ready() {
    if (!this.#held && (this.#owner || !this.#restored)) await this.#restore()
  }

  #restore() {
    return (this.#restoring ??= this.#alone(() => this.#find()).finally(() => (this.#restoring = null)))
  }

  async #find() {
    if (this.#held || (await this.#othersHave(0))) return null
    const { mode } = this.#options
    const moment = await this.#moment()
    let problem = this.#over
    /** @param {any} error */
    const refused = (error) => {
      if (!isRefusal(error)) throw error
      if (error.code !== "credential_missing") problem = error.problem
    }
    let who = (mode ?? "cookie") === "cookie" ? await this.#whose().catch(refused) : null
    const held = who ? byCookie(who) : (mode ?? "hybrid") === "hybrid" ? await this.#tokens().catch(refused) : null
    if (held && !who && this.#owner) who = await this.#whose(held)
    if (this.#held) return null // another tab was faster
    this.#restored = true
    if (held) await this.#hold({ mode: "hybrid", ...held, ...moment }, this.#owner ? who : undefined)
    else if (problem) this.#end(problem)
    return who ?? null
  }

  // Renewal

  async #fresh() {
    await this.#ready()
    const held = this.#held
    if (!held) return
    const left = left_s(held)
    if (left > held.early) return
    const renewed = this.#renew(held)
    if (left > held.early / 2) return void renewed.catch(() => {})
    await renewed.catch((/** @type {any} */ error) => {
      if (left_s(held) <= 0) throw error
    })
  }

  /** One renewal for all who want it, in all tabs. @param {Held} held */
  #renew(held) {
    const { error, n = 0 } = this.#pause
    if (left_s(this.#pause) > 0) return Promise.reject(error)
    return (this.#renewing ??= this.#alone(async () => {
      const latest = this.#held === held && !(await this.#othersHave(held.n))
      await (latest ? this.#renewNow(held) : this.#last())
    })
      .catch((error) => {
        const life = Math.min(error.problem?.retry_after_s || (n > 1 && Math.min(2 ** n / 8, 5)), SURE_S)
        this.#pause = { ...now(), life, error, n: n + 1 }
        throw error
      })
      .finally(() => (this.#renewing = null)))
  }

  /** @param {Held} held */
  async #renewNow(held, confirmed = false) {
    try {
      const moment = await this.#moment()
      const tokens = held.token && (await this.#tokens(held))
      const who = tokens?.sid === held.sid ? undefined : await this.#whose(tokens)
      const next = tokens ?? byCookie(who)
      if (this.#held === held) await this.#hold({ ...next, mode: held.mode, ...moment }, who, { confirmed })
    } catch (error) {
      if (!isRefusal(error)) throw error
      const { problem } = /** @type {any} */ (error)
      if (this.#held === held) this.#end(problem)
    }
  }

  async #last() {
    const held = this.#held
    if (held && left_s(held) < held.early) await this.#renewNow(held)
  }

  /** @param {Call} [how] */
  #whose(how) {
    return this.#call("GET", "/v1/session", { ...how, needs: "session" })
  }

  /** An answer that was lost is given again. @param {Held} [held] */
  async #tokens({ refresh } = /** @type {any} */ ({})) {
    const body = refresh ? { refresh_token: refresh } : undefined
    const ask = () => this.#call("POST", "/v1/session/tokens", { needs: "access_token", body })
    const { held } = await ask().catch((error) => (error.status ? Promise.reject(error) : sleep(100 + Math.random() * 300).then(ask)))
    return held
  }

  /** The session goes along with the server's mode. @param {Response} answer */
  #notice(answer) {
    const mode = answer.headers.get("Propylon-Mode")
    const { mode: before, sid } = this.#held ?? {}
    if (!mode || !sid || mode === before || this.#move === mode + sid) return
    this.#move = mode + sid
    this.#alone(() => this.#moveTo(mode)).then(
      () => (this.#move = ""),
      ({ status }) => (status > 400 && status < 429) || (this.#move = ""),
    )
  }

  /** @param {any} mode */
  async #moveTo(mode) {
    await this.#last()
    const held = this.#required()
    const moment = await this.#moment()
    if (held.mode === mode) return
    if (mode === "cookie") await this.#call("POST", "/v1/session/cookie", held)
    // Refused where the browser has not kept it.
    const next = mode === "cookie" ? byCookie(await this.#whose()) : await this.#tokens(held)
    if (next.sid !== held.sid || (mode === "bearer" && !next.refresh)) throw this.#error("", 403)
    if (this.#held === held) await this.#hold({ ...next, mode, ...moment })
  }

  /** An open tab keeps nobody signed in. @param {Held} held */
  #arm(held) {
    clearTimeout(this.#timer)
    this.#used = false
    const renew = () => this.#used && this.#held === held && this.#renew(held).catch(() => {})
    if (held.token) this.#timer = setTimeout(renew, (left_s(held) - held.early) * 1000)
  }

  // Other tabs

  /** One tab at a time changes what all hold. @param {() => Promise<any>} work */
  async #alone(work) {
    let begun = false
    const locked = () => ((begun = true), work())
    try {
      const signal = AbortSignal.timeout(3 * this.#options.timeoutMs)
      return await locks.request(this.#name, { signal }, locked)
    } catch (error) {
      if (begun) throw error
      // None, or a tab that sleeps holds it.
      return (this.#turn = this.#turn.catch(() => {}).then(work))
    }
  }

  /** Who holds the n-th holds a lock that says so: all tabs see locks alike. */
  async #newest() {
    const { held = [] } = (await locks?.query().catch(() => null)) ?? {}
    return Math.max(0, ...held.map(({ name }) => Number(name?.split(`${this.#name} #`)[1]) || 0))
  }

  async #moment() {
    return { n: 1 + Math.max(await this.#newest(), this.#stored()?.n ?? 0, this.#held?.n ?? 0), ...now() }
  }

  /** @param {number} n */
  #mark(n) {
    return new Promise((marked) => {
      const hold = () => new Promise((release) => (this.#unmark(), (this.#unmark = release), marked(0)))
      locks ? locks.request(`${this.#name} #${n}`, { mode: "shared" }, hold).catch(marked) : marked(0)
    })
  }

  /** @param {number} n */
  async #othersHave(n) {
    const has = () => Math.max(n, this.#held?.n ?? 0)
    const stored = this.#stored()
    if (stored?.n > has()) await this.#hold(stored, undefined, { told: true })
    if ((await this.#newest()) > has()) {
      const answer = new Promise((done) => (this.#heard = done))
      this.#post({ ask: true })
      await Promise.race([answer, sleep(SIBLING_WITHIN_MS)])
    }
    return has() > n
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

  // The end, as it happens: one tab tells the others

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
    locks ? locks.request(`${this.#name} events`, { signal }, lead).catch(() => void (signal.aborted || lead())) : lead()
  }

  /** Whether there was a stream. @param {string} sid @param {AbortSignal} signal */
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
    signal.addEventListener("abort", abort, { signal: stop.signal })
    alive()
    try {
      const headers = this.#language(held.token)
      const answer = await fetch(`${this.#url}/v1/session/events`, { headers, credentials: "include", cache: "no-store", signal: stop.signal })
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
      abort()
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

  /** @param {string} method @param {string} path @param {Call} how @returns {Promise<any>} */
  async #call(method, path, { body, token, credentials = "include", needs }) {
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
    const said = parsed(await answer.text())
    if (answer.ok ? !needs || !said?.[needs] : typeof said?.code !== "string") throw this.#error("answer_unreadable", status)
    const retry = headers.get("Retry-After")
    if (!answer.ok) throw new PropylonError({ ...said, status, retry_after_s: Math.max(0, Number(retry) || until_s(retry, headers) || 0) })
    const { expires_at } = said.session ?? {}
    if (expires_at) this.#lasts = { ...now(), life: until_s(expires_at, headers) }
    return said
  }

  /** @param {unknown} error @param {AbortSignal} signal */
  #failed(error, signal) {
    return error instanceof PropylonError ? error : this.#error(signal.aborted ? "timed_out" : "unreachable")
  }

  /** @param {string} code */
  #error(code, status = 0) {
    const tag = this.#language()["Accept-Language"] ?? globalThis.navigator?.language ?? ""
    return new PropylonError({ code, status, detail: (SAID[code] ?? SAID.unreachable)[+/^ko/.test(tag)] })
  }

  /** Whether it was prevented. @param {string} name @param {any} detail */
  #emit(name, detail) {
    return !this.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }))
  }
}
