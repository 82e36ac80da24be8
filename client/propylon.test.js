// The browser client against a real Propylon: `PROPYLON_URL=... node --test client/`, or tests/browser/test_node.py.

import assert from "node:assert/strict"
import { afterEach, beforeEach, test } from "node:test"
import { Propylon, PropylonError } from "./propylon.js"

const url = process.env.PROPYLON_URL ?? "http://localhost:8000"
const API = "http://api.example"
const password = "correct horse battery"
const MODES = /** @type {const} */ (["cookie", "bearer", "hybrid"])

const network = globalThis.fetch
const clock = { date: 0, steady: 0 } // by how many milliseconds each is off
const [dateNow, steadyNow] = [Date.now.bind(Date), performance.now.bind(performance)]
Date.now = () => dateNow() + clock.date
performance.now = () => steadyNow() + clock.steady

/** What a browser adds: cookies by path, sent where credentials are included. It keeps what was sent, and may interfere. */
class Browser {
  sent = []
  cookies = new Map()
  interfere = async (_request, send) => send()

  fetch = async (input, init) => {
    const request = new Request(input, init)
    const { pathname, origin } = new URL(request.url)
    this.sent.push({ method: request.method, url: request.url, path: pathname, token: request.headers.get("Authorization") })
    const headers = new Headers(request.headers)
    const ours = origin === new URL(url).origin && request.credentials === "include"
    if (ours) {
      const fitting = [...this.cookies.values()].filter((cookie) => pathname.startsWith(cookie.path))
      if (fitting.length) headers.set("Cookie", fitting.map(({ pair }) => pair).join("; "))
    }
    const answer = await this.interfere(request, async () => {
      const received = await network(new Request(request, { headers }))
      if (ours) received.headers.getSetCookie().forEach((line) => this.#keep(line))
      return received
    })
    return answer
  }

  #keep(line) {
    const [pair, ...attributes] = line.split("; ")
    const path = attributes.find((one) => one.startsWith("Path="))?.slice(5) ?? "/"
    const name = pair.split("=")[0]
    attributes.includes("Max-Age=0") ? this.cookies.delete(name) : this.cookies.set(name, { pair, path })
  }

  count = (path, method = "POST") => this.sent.filter((one) => one.path === path && one.method === method).length
}

const TOKENS = "/v1/session/tokens"
let browser, clients, people
let made = 0

beforeEach(() => {
  browser = new Browser()
  clients = []
  Object.assign(clock, { date: 0, steady: 0 })
  globalThis.fetch = browser.fetch
})
afterEach(() => clients.forEach((one) => one.close()))

/** A client that asks for nothing by itself, and the names of its events as they come. */
const client = (options = {}) => {
  const one = new Propylon({ url, origins: [API], events: false, ...options })
  one.heard = []
  for (const name of ["signed-in", "signed-out", "evicted", "renewed", "reauthentication-required"])
    one.addEventListener(name, ({ detail }) => one.heard.push([name, detail]))
  clients.push(one)
  return one
}
const names = (one) => one.heard.map(([name]) => name)

const account = async () => {
  const email = `person-${process.pid}-${++made}@example.com`
  const answer = await network(`${url}/v1/users`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email, password, name: "Mina" }) })
  assert.equal(answer.status, 201)
  return { email, password }
}
/** Signed in, with nothing counted yet. */
const signedIn = async (mode, options = {}) => {
  const auth = client({ mode, ...options })
  auth.person = await account()
  auth.who = await auth.signIn(auth.person)
  browser.sent.length = auth.heard.length = 0
  return auth
}
/** The same person on another device. */
const elsewhere = async (person) => {
  const answer = await network(`${url}/v1/sessions`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...person, mode: "bearer" }) })
  const { access_token } = await answer.json()
  return (method, path) => network(`${url}${path}`, { method, headers: { Authorization: `Bearer ${access_token}` } })
}
const endedElsewhere = async ({ person, who }) => {
  const answer = await (await elsewhere(person))("DELETE", `/v1/sessions/${who.session.id}`)
  assert.equal(answer.status, 204)
}

const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } })
const problem = (code, status = 401) => json({ code, status, title: code, detail: code }, status, { "Content-Type": "application/problem+json" })
const html = (status) => new Response("<html>a portal</html>", { status, headers: { "Content-Type": "text/html" } })
const lost = () => {
  throw new TypeError("fetch failed")
}
/** Lets an API answer, and Propylon be. */
const api = (answer) => {
  browser.interfere = async (request, send) => (request.url.startsWith(API) ? answer(request) : send())
}
const refuses = (promise, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof PropylonError, String(error.stack))
    assert.equal(error.code, code)
    assert.ok(error.detail)
    return true
  })
const until = async (condition) => {
  for (const deadline = dateNow() + 20_000; !(await condition()); ) {
    assert.ok(dateNow() < deadline, "it never happened")
    await new Promise((done) => setTimeout(done, 10))
  }
}
const expire = () => (clock.date += 3_600_000)
/** Somebody signs in on a page without this client. */
const plantCookie = async (person) => {
  const answer = await network(`${url}/v1/sessions`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...person, mode: "cookie" }) })
  const [pair] = answer.headers.getSetCookie()[0].split("; ")
  browser.cookies.set(pair.split("=")[0], { pair, path: "/" })
}
const keepWhatWaits = (auth) => auth.addEventListener("reauthentication-required", (event) => event.preventDefault())
/** As a server whose mode is another one now. */
const tellMode = (mode) => async (_request, send) => {
  const answer = await send()
  return new Response(answer.status === 204 ? null : answer.body, { status: answer.status, headers: [...answer.headers, ["Propylon-Mode", mode]] })
}

for (const mode of MODES) {
  test(`${mode}: signs in, says who is there, and signs out`, async () => {
    const auth = client({ mode })
    assert.equal(await auth.session(), null)
    const person = await account()
    const { user, session } = await auth.signIn({ ...person, remember: true })
    assert.deepEqual([user.email, session.mode], [person.email, mode])
    assert.equal((await auth.session()).session.id, session.id)
    assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
    await auth.signOut()
    assert.equal(await auth.session(), null)
    assert.deepEqual(names(auth), ["signed-in", "signed-out"])
    assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 401)
  })

  test(`${mode}: asks nothing more while what it has is fresh`, async () => {
    const auth = await signedIn(mode)
    api(() => json({}))
    for (let n = 0; n < 5; n++) await auth.fetch(`${API}/orders`)
    assert.deepEqual(browser.sent.map((one) => one.url), Array(5).fill(`${API}/orders`))
  })

  test(`${mode}: after a long sleep it makes sure once, however many requests wait for it`, async () => {
    const auth = await signedIn(mode)
    api(() => json({}))
    expire()
    const answers = await Promise.all(Array.from({ length: 10 }, () => auth.fetch(`${API}/orders`)))
    assert.ok(answers.every((answer) => answer.status === 200))
    assert.equal(browser.sent.length, 11)
    assert.deepEqual(names(auth), ["renewed"])
  })

  test(`${mode}: a session that ended elsewhere is over at the next request, and says why`, async () => {
    const auth = await signedIn(mode)
    await endedElsewhere(auth)
    assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 401)
    assert.deepEqual(names(auth), ["evicted", "signed-out", "reauthentication-required"])
    assert.equal(auth.heard[0][1].code, "session_revoked")
    assert.equal(await auth.session(), null)
  })

  test(`${mode}: is told of the end at once, without asking`, async () => {
    const auth = await signedIn(mode, { events: true })
    await endedElsewhere(auth)
    await until(() => names(auth).includes("evicted"))
    assert.equal(auth.heard[0][1].code, "session_revoked")
    assert.ok(browser.sent.every((one) => one.path === "/v1/session/events"))
  })

  test(`${mode}: lasts for as long as somebody wants, or says that it does not`, async () => {
    const auth = await signedIn(mode)
    await auth.ensureFresh(60)
    await refuses(auth.ensureFresh(10 ** 9), "token_expiring")
    await auth.signOut()
    await refuses(auth.ensureFresh(1), "credential_missing")
  })

  test(`${mode}: a request waits for the password and goes on`, async () => {
    const auth = await signedIn(mode)
    auth.addEventListener("reauthentication-required", (event) => event.preventDefault())
    let confirmed = false
    const bodies = []
    browser.interfere = async (request, send) => {
      if (request.url.startsWith(API)) return bodies.push(await request.text()), confirmed ? json({ placed: true }) : problem("reauthentication_required")
      const answer = await send()
      confirmed ||= request.url.endsWith("/confirm") && answer.status === 204
      return answer
    }
    const order = auth.fetch(`${API}/orders`, { method: "POST", body: "one fan" })
    await until(() => names(auth).includes("reauthentication-required"))
    await refuses(auth.confirm("wrong"), "credentials_wrong")
    await auth.confirm(password)
    assert.deepEqual(await (await order).json(), { placed: true })
    assert.deepEqual(bodies, ["one fan", "one fan"])
    assert.equal((await auth.session()).user.email, auth.person.email)
  })
}

test("without a mode the server's is taken, and found again after a load", async () => {
  const auth = await signedIn(undefined)
  assert.equal(auth.who.session.mode, process.env.PROPYLON_MODE ?? "cookie")
  assert.equal((await client().session()).session.id, auth.who.session.id)
})

test("a hybrid sign-in survives a load, a bearer sign-in only where somebody has chosen so", async () => {
  const hybrid = await signedIn("hybrid")
  hybrid.close()
  assert.equal((await client({ mode: "hybrid" }).session()).session.id, hybrid.who.session.id)
  assert.equal((await client().session()).session.id, hybrid.who.session.id)
  const bearer = await signedIn("bearer")
  bearer.close()
  assert.equal(await client({ mode: "bearer" }).session(), null)
})

test("a refusal says what it is, in the language of the page", async () => {
  const person = await account()
  const error = await client({ language: "ko" }).signIn({ ...person, password: "wrong" }).catch((error) => error)
  assert.deepEqual([error.code, error.status], ["credentials_wrong", 401])
  assert.match(error.detail, /[가-힣]/)
  const down = await client({ url: "http://localhost:1", language: () => "ko-KR" }).session().catch((error) => error)
  assert.deepEqual([down.code, down.status], ["unreachable", 0])
  assert.match(down.detail, /[가-힣]/)
})

test("the token goes to origins that are named, and to no other", async () => {
  const auth = await signedIn("bearer")
  browser.interfere = async () => json({})
  for (const strange of ["http://other.example/", "http://api.example.com/", "http://api.example:8080/", "https://api.example/"]) {
    await auth.fetch(strange)
    assert.equal(browser.sent.at(-1).token, null, strange)
  }
  await auth.fetch(`${API}/`)
  assert.match(browser.sent.at(-1).token, /^Bearer ey/)
  await auth.fetch(`${API}/`, { headers: { Authorization: "Basic eDp5" } })
  assert.equal(browser.sent.at(-1).token, "Basic eDp5")
})

const parts = new FormData()
parts.append("item", "fan")
for (const [kind, body, expected] of [
  ["text", "one fan", /^one fan$/],
  ["a form", new URLSearchParams({ item: "fan" }), /^item=fan$/],
  ["a file", new Blob(["one fan"]), /^one fan$/],
  ["bytes", new TextEncoder().encode("one fan"), /^one fan$/],
  ["parts", parts, /name="item"\r\n\r\nfan/],
]) {
  test(`after a refusal it renews and repeats once, with the same body: ${kind}`, async () => {
    const auth = await signedIn("bearer")
    const bodies = []
    api(async (request) => (bodies.push(await request.text()), bodies.length > 1 ? json({}) : problem("token_expired")))
    const answer = await auth.fetch(`${API}/orders`, { method: "POST", body })
    assert.equal(answer.status, 200)
    const plain = bodies.map((text) => text.replaceAll(/-+formdata-\S+/g, "")) // each sending has a boundary of its own
    assert.equal(plain[0], plain[1])
    assert.match(bodies[0], expected)
    assert.equal(browser.count(TOKENS), 1)
    const [before, after] = browser.sent.filter((one) => one.url.startsWith(API)).map((one) => one.token)
    assert.notEqual(before, after)
  })
}

test("an API that always refuses is asked twice and no more", async () => {
  const auth = await signedIn("hybrid")
  api(() => problem("token_expired"))
  assert.equal((await auth.fetch(`${API}/orders`)).status, 401)
  assert.equal(browser.count("/orders", "GET"), 2)
  assert.equal(browser.count(TOKENS), 1)
  assert.ok(await auth.session())
})

test("a wrong password in the person's own request is no reason to renew", async () => {
  const auth = await signedIn("bearer")
  const body = JSON.stringify({ current_password: "wrong", new_password: "a different horse battery" })
  const answer = await auth.fetch(`${url}/v1/user/password`, { method: "PUT", headers: { "Content-Type": "application/json" }, body })
  assert.equal((await answer.json()).code, "credentials_wrong")
  assert.equal(browser.sent.length, 1)
})

test("a body that is a stream goes once, and is not sent in half a second time", async () => {
  const auth = await signedIn("bearer")
  api(() => problem("token_expired"))
  const body = new Blob(["one fan"]).stream()
  await refuses(auth.fetch(`${API}/orders`, { method: "POST", body, duplex: "half" }), "body_not_repeatable")
  assert.equal(browser.count("/orders"), 1)
})

for (const mode of ["bearer", "hybrid"]) {
  test(`${mode}: an answer that was lost after the rotation signs nobody out`, async () => {
    const auth = await signedIn(mode)
    expire()
    let left = 1
    browser.interfere = async (request, send) => {
      const answer = await send()
      return request.url.endsWith(TOKENS) && left-- > 0 ? lost() : answer
    }
    assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
    assert.equal(browser.count(TOKENS), 2)
    expire()
    assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
    assert.deepEqual(names(auth), ["renewed", "renewed"])
  })
}

for (const [how, code, answer] of [
  ["is down", "unreachable", lost],
  ["answers HTML with 200", "answer_unreadable", () => html(200)],
  ["answers HTML with 401", "answer_unreadable", () => html(401)],
  ["answers HTML with 502", "answer_unreadable", () => html(502)],
  ["answers JSON of its own", "answer_unreadable", () => json({ hello: "world" })],
  ["answers 503", "store_unavailable", () => problem("store_unavailable", 503)],
  ["is slow", "timed_out", (request) => new Promise((_, failed) => request.signal.addEventListener("abort", () => failed(request.signal.reason)))],
]) {
  for (const mode of MODES) {
    test(`${mode}: a Propylon that ${how} signs nobody out`, async () => {
      const auth = await signedIn(mode, { timeoutMs: 200 })
      const working = browser.interfere
      browser.interfere = async (request, send) => (request.url.startsWith(API) ? json({}) : answer(request, send))
      await refuses(auth.signIn(auth.person), code)
      await refuses(auth.session(), code)
      assert.equal((await auth.fetch(`${API}/orders`)).status, 200)
      expire()
      await refuses(auth.fetch(`${API}/orders`), code)
      assert.equal(browser.count("/orders", "GET"), 1)
      await refuses(auth.signOut(), code)
      assert.deepEqual(names(auth), [])
      browser.interfere = working
      assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
      assert.equal((await auth.session()).session.id, auth.who.session.id)
    })
  }
}

test("a clock that is ten minutes off changes nothing", async () => {
  for (const off of [600_000, -600_000]) {
    clock.date = off
    const auth = await signedIn("hybrid")
    api(() => json({}))
    await auth.fetch(`${API}/orders`)
    await auth.ensureFresh(60)
    assert.equal(browser.count(TOKENS), 0)
  }
})

for (const [which, moved] of [["wall", "date"], ["steady", "steady"]]) {
  test(`a laptop that slept past the end renews before it asks, by its ${which} clock alone`, async () => {
    const auth = await signedIn("bearer")
    api(() => json({}))
    clock[moved] += 3_600_000
    await auth.fetch(`${API}/orders`)
    assert.deepEqual(browser.sent.map((one) => one.path), [TOKENS, "/orders"])
  })
}

test("shortly before its end a token is renewed beside the request that uses it", async () => {
  const auth = await signedIn("bearer")
  api(() => json({}))
  clock.steady += 1_000 * (300 - 16)
  await auth.fetch(`${API}/orders`)
  await until(() => names(auth).includes("renewed"))
  assert.equal(browser.count(TOKENS), 1)
})

test("nothing is kept where scripts can read it, unless somebody has chosen so", async () => {
  const kept = new Map()
  globalThis.localStorage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value), removeItem: (name) => kept.delete(name) }
  ;(await signedIn("bearer")).close()
  assert.equal(kept.size, 0)
  const chosen = await signedIn("bearer", { unsafe_storage: "localStorage" })
  chosen.close()
  assert.equal(kept.size, 1)
  const again = client({ mode: "bearer", unsafe_storage: "localStorage" })
  assert.equal((await again.session()).session.id, chosen.who.session.id)
  await again.signOut()
  assert.equal(kept.size, 0)
  delete globalThis.localStorage
})

test("a storage that is full, blocked or holds something else changes nothing but that a load forgets", async () => {
  const blocked = () => {
    throw new DOMException("blocked", "SecurityError")
  }
  for (const storage of [{ getItem: blocked, setItem: blocked, removeItem: blocked }, { getItem: () => "{not ours", setItem: blocked, removeItem: () => {} }]) {
    globalThis.localStorage = storage
    const auth = await signedIn("bearer", { unsafe_storage: "localStorage" })
    assert.ok(await auth.session())
    auth.close()
    assert.equal(await client({ mode: "bearer", unsafe_storage: "localStorage" }).session(), null)
  }
  delete globalThis.localStorage
})

test("a request that nobody keeps is answered as it was", async () => {
  const auth = await signedIn("bearer")
  api(() => problem("reauthentication_required"))
  assert.equal((await auth.fetch(`${API}/orders`)).status, 401)
  assert.equal(browser.sent.length, 1)
})

test("a request that is kept can be given up by the page and by its sender", async () => {
  const auth = await signedIn("bearer")
  api(() => problem("reauthentication_required"))
  auth.addEventListener("reauthentication-required", (event) => event.preventDefault())
  const given = auth.fetch(`${API}/orders`)
  await until(() => auth.heard.length)
  auth.heard[0][1].cancel()
  assert.equal((await given).status, 401)
  const aborted = new AbortController()
  const order = auth.fetch(`${API}/orders`, { signal: aborted.signal })
  await until(() => auth.heard.length === 2)
  aborted.abort()
  await assert.rejects(order, { name: "AbortError" })
})

test("an order that met the end of the session goes on when the same person is back, and is never somebody else's", async () => {
  for (const same of [true, false]) {
    const auth = await signedIn("bearer")
    auth.addEventListener("reauthentication-required", (event) => event.preventDefault())
    const placed = []
    browser.interfere = async (request, send) => {
      if (!request.url.startsWith(API)) return send()
      const answer = await network(`${url}/v1/session`, { headers: request.headers })
      if (answer.ok) placed.push((await answer.json()).user.email)
      return answer.ok ? json({}) : answer
    }
    await endedElsewhere(auth)
    const order = auth.fetch(`${API}/orders`, { method: "POST", body: "one fan" })
    order.catch(() => {})
    await until(() => names(auth).includes("reauthentication-required"))
    const next = same ? auth.person : await account()
    await auth.signIn(next)
    if (same) assert.equal((await order).status, 200)
    else await refuses(order, "user_changed")
    assert.deepEqual(placed, same ? [next.email] : [])
  }
})

test("an order that was under way when somebody else signed in is not sent again as theirs", async () => {
  const auth = await signedIn("bearer")
  const stranger = await account()
  let refused = 0
  browser.interfere = async (request, send) => {
    if (!request.url.startsWith(API)) return send()
    if (refused++ === 0) await auth.signIn(stranger)
    return problem("token_expired")
  }
  await refuses(auth.fetch(`${API}/orders`, { method: "POST", body: "one fan" }), "user_changed")
  assert.equal(refused, 1)
  assert.deepEqual(names(auth), ["signed-out", "signed-in"])
})

test("who signs in over somebody else ends their session", async () => {
  const auth = await signedIn("bearer")
  const other = await elsewhere(auth.person)
  await auth.signIn(await account())
  await until(async () => (await (await other("GET", "/v1/sessions")).json()).sessions.length === 1)
})

test("tabs share one sign-in: what one is given all have, and when one signs out all are", async () => {
  const [one, two] = [client({ mode: "bearer" }), client({ mode: "bearer" })]
  const person = await account()
  await one.signIn(person)
  await until(() => names(two).includes("signed-in"))
  browser.sent.length = 0
  assert.equal((await two.session()).user.email, person.email)
  expire()
  await one.fetch(`${url}/v1/sessions`)
  await until(() => names(two).includes("renewed"))
  await two.fetch(`${url}/v1/sessions`)
  assert.equal(browser.count(TOKENS), 1)
  await two.signOut()
  await until(() => names(one).includes("signed-out"))
  assert.equal(await one.session(), null)
})

test("a tab whose browser has somebody else's cookie now does not go on as them", async () => {
  const auth = await signedIn("cookie")
  const stranger = await account()
  await plantCookie(stranger)
  expire()
  await refuses(auth.fetch(`${url}/v1/sessions`), "user_changed")
  assert.deepEqual(names(auth), ["signed-out", "signed-in"])
  assert.deepEqual(browser.sent.map((one) => one.path), ["/v1/session"])
})

for (const [from, to] of [["bearer", "cookie"], ["hybrid", "cookie"]]) {
  test(`when the server takes ${to} now, a ${from} session moves once and quietly`, async () => {
    const auth = await signedIn(from)
    const tell = async (request, send) => {
      const answer = await send()
      return new Response(answer.status === 204 ? null : answer.body, { status: answer.status, headers: [...answer.headers, ["Propylon-Mode", to]] })
    }
    browser.interfere = tell
    await auth.fetch(`${url}/v1/sessions`)
    await until(() => browser.count("/v1/session/cookie"))
    await until(async () => (await auth.fetch(`${url}/v1/sessions`), browser.sent.at(-1).token === null))
    assert.equal(browser.count("/v1/session/cookie"), 1)
    assert.equal((await auth.session()).session.id, auth.who.session.id)
    assert.ok(!names(auth).includes("signed-out"))
  })
}

test("a move that fails is made at a later request", async () => {
  const auth = await signedIn("bearer")
  let failed = 0
  browser.interfere = async (request, send) => {
    if (request.url.endsWith("/v1/session/cookie") && failed++ === 0) return Response.json({ code: "store_unavailable" }, { status: 503 })
    const answer = await send()
    return new Response(answer.status === 204 ? null : answer.body, { status: answer.status, headers: [...answer.headers, ["Propylon-Mode", "cookie"]] })
  }
  await until(async () => (await auth.fetch(`${url}/v1/sessions`), browser.sent.at(-1).token === null))
  assert.equal(browser.count("/v1/session/cookie"), 2)
  assert.ok(!names(auth).includes("signed-out"))
})

test("cookie: an order that waits for its person is not sent as who has signed in on another page", async () => {
  const auth = await signedIn("cookie")
  keepWhatWaits(auth)
  await endedElsewhere(auth)
  const order = auth.fetch(`${url}/v1/session/cookie`, { method: "POST" })
  await until(() => names(auth).includes("reauthentication-required"))
  const stranger = await account()
  await plantCookie(stranger)
  auth.heard.at(-1)[1].resume()
  await refuses(order, "user_changed")
  assert.equal(browser.count("/v1/session/cookie"), 1)
  assert.deepEqual([auth.heard.at(-1)[0], auth.heard.at(-1)[1].user.email], ["signed-in", stranger.email])
})

test("cookie: an order that waits goes on when the same person has signed in on another page, and not before", async () => {
  const auth = await signedIn("cookie")
  keepWhatWaits(auth)
  const send = () => auth.fetch(`${url}/v1/sessions`)
  await endedElsewhere(auth)
  const early = send()
  await until(() => names(auth).includes("reauthentication-required"))
  auth.heard.at(-1)[1].resume()
  await early.catch((error) => assert.equal(error.code, "session_revoked"))
  const [order, asked] = [send(), auth.heard.length]
  await until(() => auth.heard.length > asked)
  await plantCookie(auth.person)
  auth.heard.at(-1)[1].resume()
  assert.equal((await order).status, 200)
})

for (const mode of MODES) {
  test(`${mode}: after the end nothing is sent that nobody answers for`, async () => {
    const auth = await signedIn(mode)
    await endedElsewhere(auth)
    await auth.fetch(`${url}/v1/sessions`)
    browser.sent.length = 0
    await refuses(auth.fetch(`${url}/v1/sessions`), "session_revoked")
    await plantCookie(await account())
    const { code, status } = await auth.fetch(`${url}/v1/sessions`).catch((error) => error)
    assert.ok(mode === "cookie" ? code === "user_changed" : status === 401 || code === "credential_ambiguous", code)
    assert.equal(browser.count("/v1/sessions", "GET"), 0)
  })

  test(`${mode}: what nobody has begun is theirs who has signed in, and renewed for them`, async () => {
    const auth = client({ mode })
    keepWhatWaits(auth)
    let asked = 0
    api(() => (asked++ < 2 ? problem("token_expired") : json({})))
    const order = auth.fetch(`${API}/orders`, { method: "POST" })
    await until(() => names(auth).includes("reauthentication-required"))
    await auth.signIn(await account())
    assert.equal((await order).status, 200)
  })

  test(`${mode}: session() is null where the session has ended, however long ago it was asked for`, async () => {
    const auth = await signedIn(mode)
    await endedElsewhere(auth)
    expire()
    assert.equal(await auth.session(), null)
    assert.deepEqual(names(auth), ["evicted", "signed-out"])
    assert.equal(await auth.session(), null)
  })
}

for (const slept of [false, true]) {
  test(`session() says whose cookie there is now${slept ? ", after a sleep" : ""}, and the page hears of it`, async () => {
    const auth = await signedIn("cookie")
    const stranger = await account()
    await plantCookie(stranger)
    if (slept) expire()
    assert.equal((await auth.session()).user.email, stranger.email)
    assert.deepEqual(names(auth), ["signed-out", "signed-in"])
  })
}

test("a tab that is used all the time asks every five minutes whose cookie there is", async () => {
  const auth = await signedIn("cookie")
  api(() => json({}))
  for (let minutes = 0; minutes < 12; minutes += 2) {
    clock.date += 120_000
    await auth.fetch(`${API}/orders`)
  }
  assert.equal(browser.count("/v1/session", "GET"), 2)
})

test("a sign-in takes along the cookies of whoever was here before, in every mode", async () => {
  for (const mode of MODES) {
    await signedIn("cookie")
    let cookie
    browser.interfere = async (request, send) => {
      if (request.method === "POST") cookie = request.credentials
      return send()
    }
    await client({ mode }).signIn(await account())
    assert.equal(cookie, "include", mode)
  }
})

for (const mode of MODES) {
  test(`who signs in (${mode}) over somebody whose token has run out ends their session too, and a load is not them`, async () => {
    const auth = await signedIn("hybrid", { mode: undefined })
    auth.close()
    browser.cookies.clear()
    const before = await account()
    const one = client()
    await one.signIn({ ...before, mode: "hybrid" })
    const other = await elsewhere(before)
    expire()
    const next = await account()
    await one.signIn({ ...next, mode })
    assert.equal((await (await other("GET", "/v1/sessions")).json()).sessions.length, 1)
    assert.equal((await one.session()).user.email, next.email)
    one.close()
    assert.equal((await client().session())?.user.email, mode === "bearer" ? undefined : next.email)
  })
}

test("a sign-out ends what the cookie says, also on a page that has not looked for it", async () => {
  await signedIn("cookie")
  await client({ mode: "bearer" }).signOut()
  assert.equal(await client({ mode: "cookie" }).session(), null)
})

for (const mode of ["bearer", "hybrid"]) {
  test(`${mode}: tokens that come after the end are not taken`, async () => {
    const auth = await signedIn(mode)
    expire()
    const otherTab = new BroadcastChannel(`propylon ${url}`)
    browser.interfere = async (request, send) => {
      const answer = await send()
      if (!request.url.endsWith(TOKENS)) return answer
      otherTab.postMessage({ over: { code: "signed_out" }, sid: auth.who.session.id, leave: true })
      await until(() => names(auth).includes("signed-out"))
      return answer
    }
    await refuses(auth.fetch(`${url}/v1/sessions`), "credential_missing")
    otherTab.close()
    assert.deepEqual([names(auth), browser.count("/v1/sessions", "GET")], [["signed-out"], 0])
  })
}

test("a request keeps its referrer policy", async () => {
  const auth = await signedIn("bearer")
  let policy
  api((request) => ((policy = request.referrerPolicy), json({})))
  await auth.fetch(`${API}/orders`, { referrerPolicy: "no-referrer" })
  assert.equal(policy, "no-referrer")
})

const busy = (retry) => json({ code: "store_unavailable", detail: "busy" }, 503, { "Content-Type": "application/problem+json", ...(retry && { "Retry-After": retry }) })
for (const mode of MODES) {
  test(`${mode}: a renewal that is told to wait waits, and requests are told so at once`, async () => {
    const auth = await signedIn(mode)
    const renewals = () => browser.sent.filter(({ path }) => path === TOKENS || path === "/v1/session").length
    browser.interfere = async (request, send) => (request.url.startsWith(API) ? json({}) : busy("60"))
    expire()
    for (let n = 0; n < 5; n++) await refuses(auth.fetch(`${API}/orders`), "store_unavailable")
    assert.equal(renewals(), 1)
    clock.date += 59_000
    await refuses(auth.fetch(`${API}/orders`), "store_unavailable")
    assert.equal(renewals(), 1)
    api(() => json({}))
    clock.date += 2_000
    assert.equal((await auth.fetch(`${API}/orders`)).status, 200)
    assert.equal(renewals(), 2)
  })

  test(`${mode}: a renewal that fails again and again is made ever more rarely`, async () => {
    const auth = await signedIn(mode)
    browser.interfere = async () => busy()
    expire()
    for (let n = 0; n < 100; n++, clock.date += 100) await refuses(auth.fetch(`${API}/orders`), "store_unavailable")
    assert.ok(browser.sent.length > 4 && browser.sent.length < 10, String(browser.sent.length))
  })
}

test("Retry-After is read in seconds and as a date, and what is neither is none", async () => {
  const auth = client({ mode: "bearer" })
  const inAMinute = new Date(Date.now() + 60_000).toUTCString()
  for (const [retry, expected] of [["7", 7], [inAMinute, 60], ["soon", 0], [undefined, 0], ["-5", 0]]) {
    browser.interfere = async () => busy(retry)
    const { problem } = await auth.signIn({ email: "", password: "" }).catch((error) => error)
    assert.ok(Math.abs(problem.retry_after_s - expected) < 2, `${retry}: ${problem.retry_after_s}`)
  }
})

test("an access token that is none of Propylon's is no answer, and signs nobody out", async () => {
  const auth = await signedIn("hybrid")
  expire()
  const working = browser.interfere
  browser.interfere = async (request, send) => (request.url.endsWith(TOKENS) ? json({ access_token: "opaque", expires_in: 60 }) : send())
  await refuses(auth.fetch(`${url}/v1/sessions`), "answer_unreadable")
  browser.interfere = working
  assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
  assert.deepEqual(names(auth), ["renewed"])
})

test("a move that is refused is not tried with every request", async () => {
  const auth = await signedIn("bearer")
  browser.interfere = async (request, send) => (request.url.endsWith("/v1/session/cookie") ? problem("cookie_cross_site", 403) : tellMode("cookie")(request, send))
  for (let n = 0; n < 5; n++) assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
  await auth.ensureFresh(10)
  assert.equal(browser.count("/v1/session/cookie"), 1)
})

test("where the browser keeps no cookie, the tokens are not let go for one", async () => {
  const auth = await signedIn("bearer")
  browser.interfere = tellMode("cookie")
  browser.cookies.set = () => {}
  await auth.fetch(`${url}/v1/sessions`)
  await until(() => browser.count("/v1/session", "GET"))
  for (let n = 0; n < 3; n++) assert.equal((await auth.fetch(`${url}/v1/sessions`)).status, 200)
  assert.match(browser.sent.at(-1).token, /^Bearer ey/)
  assert.equal(browser.count("/v1/session/cookie"), 1)
})

test("who mistypes the password is asked again by the next request, and then all go on", async () => {
  const auth = await signedIn("cookie")
  keepWhatWaits(auth)
  let confirmed = false
  api(() => (confirmed ? json({}) : problem("reauthentication_required")))
  const asked = () => auth.heard.length
  const [first, second] = [auth.fetch(`${API}/1`), auth.fetch(`${API}/2`)]
  await until(() => browser.sent.length === 2 && asked())
  assert.equal(asked(), 1) // one question for both
  await refuses(auth.confirm("mistyped"), "credentials_wrong")
  const third = auth.fetch(`${API}/3`)
  await until(() => asked() === 2)
  confirmed = true
  await auth.confirm(password)
  for (const order of [first, second, third]) assert.equal((await order).status, 200)
})

test("a handler may give up a request at once", async () => {
  const auth = await signedIn("bearer")
  api(() => problem("reauthentication_required"))
  auth.addEventListener("reauthentication-required", (event) => (event.preventDefault(), event.detail.cancel()))
  assert.equal((await auth.fetch(`${API}/orders`)).status, 401)
})

test("without locks and channels, tabs that share a storage share the refresh token, too", async () => {
  const kept = new Map()
  globalThis.localStorage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value), removeItem: (name) => kept.delete(name) }
  const { BroadcastChannel } = globalThis
  delete globalThis.BroadcastChannel
  try {
    const options = { mode: "bearer", unsafe_storage: "localStorage" }
    const one = await signedIn("bearer", options)
    const renew = async (tab) => (expire(), tab.ensureFresh(10))
    for (let n = 0; n < 3; n++) await renew(one)
    const two = client(options)
    for (const tab of [two, two, one, two, one, one]) await renew(tab)
    assert.equal((await one.session()).session.id, (await two.session()).session.id)
    assert.ok(![...names(one), ...names(two)].includes("signed-out"))
  } finally {
    Object.assign(globalThis, { BroadcastChannel })
    delete globalThis.localStorage
  }
})
