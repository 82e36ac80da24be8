// The shop's API, asked as whoever is signed in. How that travels, and when it is renewed, is the browser client's affair.

const TRIES = 4
const WAIT_MS = 200

// A refusal, or no usable answer. `code` is for programs, `title` and `detail` are for people, in their language.
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", title = "", detail = "", errors = [], retry_after_s = 0 }) {
    super(detail || title || code)
    Object.assign(this, { status, code, title, detail, errors, retry_after_s })
  }

  // No word of the shop or of Propylon: nobody knows whether the request arrived.
  get isSilence() {
    return this.status === 0 || this.status >= 500 || this.code === "answer_unreadable"
  }
}

// What the browser client throws has a `problem`. Anything else is a mistake in this page, and stays what it is.
export const asProblem = (error) => {
  if (error instanceof Problem) return error
  if (!error.problem) throw error
  return new Problem(error.problem)
}

// Retry-After is seconds or a date (RFC 9110, 10.2.3).
const retryAfter_s = ({ headers }) => {
  const said = headers.get("Retry-After")
  const until_ms = Date.parse(said) - (Date.parse(headers.get("Date")) || Date.now())
  return Math.max(0, Number(said) || until_ms / 1000 || 0)
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

// Does what may be done twice again, where there was no answer.
export const patiently = async (work) => {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!asProblem(error).isSilence || tries === TRIES) throw error
      await sleep(WAIT_MS * tries)
    }
  }
}

export const Api = (auth, language) => {
  const once = async (method, path, { body, headers, ...more } = {}) => {
    const said = { "Accept-Language": language(), ...headers }
    if (body !== undefined) said["Content-Type"] = "application/json"
    const request = { method, headers: said, body: body === undefined ? undefined : JSON.stringify(body), ...more }
    const answer = await auth.fetch(path, request).catch(({ problem = {} }) => Promise.reject(new Problem(problem)))
    const { status, ok } = answer
    if (status === 204) return {}
    const read = await answer.json().catch(() => null) // cut off on the way, or a proxy's own page
    if (!read || (!ok && !read.code)) throw new Problem({ status, code: "answer_unreadable" })
    if (!ok) throw new Problem({ ...read, status, retry_after_s: retryAfter_s(answer) })
    return read
  }

  // What HTTP calls idempotent comes to the same when it arrives twice, and is sent again where no answer came. POST is not:
  // one cup would become two. (Orders have a key for that: ordering.js.)
  const ask = (method, path, options) => {
    const work = () => once(method, path, options)
    return method === "POST" ? work() : patiently(work)
  }

  return { ask, once }
}
