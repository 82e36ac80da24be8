// What keeps a page of one origin and an API on another apart, named in the console of who wrote the page.
// propylon.js loads this on pages of other origins, and nowhere else. Explained in docs/origins.md.

// After a request that failed, what may be wrong is looked into at most so often.
const AGAIN_AFTER_MS = 30_000
const korean = /^ko/.test(globalThis.navigator?.language ?? "")

/** @type {Record<string, [string, string]>} where {page} and {api} are origins, and {url} is what was asked for */
const SAID = {
  file: [
    "This page was opened as a file or stands in a sandbox, so it has no origin that could be allowed. Serve it: python -m http.server 5173.",
    "이 페이지는 파일로 열렸거나 샌드박스 안에 있어, 허용할 출처가 없습니다. python -m http.server 5173처럼 서버로 열어 주세요.",
  ],
  origin: [
    "{api} does not know pages of {page}. Add that origin, letter for letter, to its setting: PROPYLON_ORIGINS={page}.",
    "{api}에 {page} 출처가 허용되어 있지 않습니다. PROPYLON_ORIGINS={page}처럼 이 출처를 글자 그대로 설정에 더해 주세요.",
  ],
  host_unknown: [
    "{api} is not the public URL of this Propylon. Use that address in the page, or set PROPYLON_PUBLIC_URL to {api}.",
    "{api}은(는) 이 Propylon의 공개 주소가 아닙니다. 페이지에서 공개 주소를 쓰거나 PROPYLON_PUBLIC_URL을 {api}(으)로 설정해 주세요.",
  ],
  not_propylon: [
    "{api} answers, but not as Propylon does. Is the path of its public URL missing, as in new Propylon({ url: \"{api}/auth\" })?",
    "{api}이(가) 응답하지만 Propylon이 아닙니다. new Propylon({ url: \"{api}/auth\" })처럼 공개 주소의 경로가 필요하지 않은지 확인해 주세요.",
  ],
  mixed: [
    "This page is https and {api} is http: browsers stop such requests. Serve the API by https too.",
    "이 페이지는 https이고 {api}은(는) http라서 브라우저가 요청을 막습니다. API도 https로 제공해 주세요.",
  ],
  cookie_cross_site: [
    "{page} and {api} are two sites, so the browser keeps no cookie of {api} for this page: cookie and hybrid mode cannot work. Put both under one site (app.example.com, api.example.com), or use new Propylon({ mode: \"bearer\" }).",
    "{page}와(과) {api}은(는) 서로 다른 사이트라서 브라우저가 이 페이지에서 {api}의 쿠키를 저장하지 않습니다. cookie 방식과 hybrid 방식은 쓸 수 없습니다. 둘을 한 사이트(app.example.com, api.example.com)에 두거나 new Propylon({ mode: \"bearer\" })를 써 주세요.",
  ],
  loopback: [
    "localhost, 127.0.0.1 and [::1] are three sites to a browser, and so are names like app.localhost and api.localhost. Use one name in all addresses.",
    "브라우저는 localhost, 127.0.0.1, [::1]을 서로 다른 사이트로 봅니다. app.localhost와 api.localhost도 그렇습니다. 모든 주소에 같은 이름을 써 주세요.",
  ],
  credential_missing: [
    "{url} was asked without a credential, and somebody is signed in. With cookies: fetch(url, { credentials: \"include\" }). In every mode: the fetch of the client, auth.fetch(url).",
    "로그인되어 있는데 {url}에 인증 정보 없이 요청했습니다. 쿠키라면 fetch(url, { credentials: \"include\" })를, 어느 방식이든 클라이언트의 auth.fetch(url)를 써 주세요.",
  ],
  not_kept: [
    "The browser did not send the cookie of {api} that this page had just been given. Is the page in a frame of another site, or are cookies blocked? Put page and API under one site, or use new Propylon({ mode: \"bearer\" }).",
    "방금 받은 {api}의 쿠키를 브라우저가 보내지 않았습니다. 페이지가 다른 사이트의 프레임 안에 있거나 쿠키가 차단되어 있지 않은지 확인해 주세요. 페이지와 API를 한 사이트에 두거나 new Propylon({ mode: \"bearer\" })를 써 주세요.",
  ],
  wildcard: [
    "{api} lets pages read its answers, but not with cookies: Access-Control-Allow-Origin: * does not do. It has to say {page}, and Access-Control-Allow-Credentials: true.",
    "{api}의 응답은 읽을 수 있지만 쿠키를 함께 보낼 수는 없습니다. Access-Control-Allow-Origin: *로는 안 됩니다. {page}를 지정하고 Access-Control-Allow-Credentials: true도 보내야 합니다.",
  ],
  api_origin: [
    "{api} sends no Access-Control-Allow-Origin for {page}. CORS of your own routes is your app's: allow that origin there, with credentials.",
    "{api}이(가) {page}에 Access-Control-Allow-Origin을 보내지 않습니다. 앱 자체 라우트의 CORS는 앱의 몫입니다. 그 출처를 인증 정보와 함께 허용해 주세요.",
  ],
  preflight: [
    "{url} may be read by this page, but what it asked for failed. Unless the page gave it up or the network did, CORS of {api} probably does not allow that method, or a header (Authorization, Content-Type, Idempotency-Key).",
    "이 페이지는 {url}을(를) 읽을 수 있지만, 보낸 요청은 실패했습니다. 페이지가 요청을 중단했거나 네트워크가 끊긴 것이 아니라면 {api}의 CORS가 그 메서드나 헤더(Authorization, Content-Type, Idempotency-Key)를 허용하지 않는 것으로 보입니다.",
  ],
}

/** @param {string} url @param {RequestInit} [init] @returns {Promise<Response | null>} null where it was stopped, or nobody is there */
const ask = (url, init) => fetch(url, { cache: "no-store", credentials: "omit", ...init }).catch(() => null)
/** @param {string} host */
const isLoopback = (host) => /^(localhost|127(\.\d+){3}|\[::1\]|.*\.localhost)$/.test(host)

/** @param {string} host of this machine */
const siteOf = (host) => (host.endsWith("localhost") ? host.split(".").slice(-2).join(".") : host)

/**
 * Names in the console, once each, what goes wrong between this page and the services.
 * @param {EventTarget & Pick<import("./propylon.js").Propylon, "fetch" | "session">} auth
 * @param {string} url where Propylon is
 * @param {Set<string>} origins whose APIs are given the credential
 */
export function watch(auth, url, origins) {
  const page = globalThis.origin // not that of the address: a file and a sandbox have none
  if (!globalThis.document || !globalThis.PerformanceObserver) return
  const home = new URL(url).origin
  const said = new Set()
  /** @type {Map<string, number>} */
  const looked = new Map()
  /** @type {Set<string>} */
  const givenUp = new Set()
  let signedIn = false

  // Why a request failed that the page itself has aborted, it knows. The browser tells nobody else.
  const send = auth.fetch.bind(auth)
  auth.fetch = async (input, init) => {
    try {
      return await send(input, init)
    } catch (error) {
      const request = input instanceof Request ? input : null
      if ((init?.signal ?? request?.signal)?.aborted) givenUp.add(new URL(request?.url ?? String(input), document.baseURI).href)
      throw error
    }
  }

  /** @param {string} cause @param {string} [asked] */
  const say = (cause, asked = url) => {
    const api = new URL(asked).origin
    if (said.has(cause + api)) return
    said.add(cause + api)
    const text = (/** @type {[string, string]} */ (SAID[cause]))[korean ? 1 : 0]
    const filled = text.replaceAll("{page}", page).replaceAll("{api}", api).replaceAll("{url}", asked)
    console.warn(`Propylon: ${filled} (docs/origins${korean ? ".ko" : ""}.md)`)
  }

  const { protocol, hostname } = new URL(url)
  const twoNames = isLoopback(hostname) && isLoopback(location.hostname) && siteOf(hostname) !== siteOf(location.hostname)
  if (page === "null") say("file")
  else if (location.protocol === "https:" && protocol === "http:" && !isLoopback(hostname)) say("mixed")

  /** @param {string} asked what failed without an answer @returns {Promise<string | undefined>} why */
  const cause = async (asked) => {
    if (page === "null") return "file"
    if (new URL(asked).origin !== home) return causeElsewhere(asked)
    const module = await ask(`${url}/propylon.js`)
    if (!module) return // nobody there, or no network
    if (!module.ok) return (await module.json().catch(() => null))?.code === "host_unknown" ? "host_unknown" : "not_propylon"
    if (!(await ask(`${url}/v1/session`))) return "origin"
    return asked.startsWith(`${url}/v1/`) ? undefined : causeElsewhere(asked)
  }

  /** @param {string} asked of an API @returns {Promise<string | undefined>} */
  const causeElsewhere = async (asked) => {
    const [method, credentials] = /** @type {const} */ (["HEAD", "include"])
    if (!(await ask(asked, { method }))) return (await ask(asked, { method, mode: "no-cors" })) ? "api_origin" : undefined
    return (await ask(asked, { method, credentials })) ? "preflight" : "wildcard"
  }

  /** @param {string} asked */
  const lookInto = async (asked) => {
    if (givenUp.delete(asked)) return
    const api = new URL(asked).origin
    if (Date.now() - (looked.get(api) ?? -Infinity) < AGAIN_AFTER_MS) return
    looked.set(api, Date.now())
    const why = await cause(asked)
    // A page at another name of this machine is to be opened at that of the API; one more origin helps no cookie.
    if (why) say(why === "origin" && twoNames ? "loopback" : why, asked)
  }

  /** @param {PerformanceResourceTiming} entry */
  const note = async ({ name, initiatorType, responseStatus, serverTiming }) => {
    if (initiatorType !== "fetch" && initiatorType !== "xmlhttprequest") return
    if (!origins.has(new URL(name).origin)) return
    if (!responseStatus || (responseStatus === 404 && name.startsWith(`${url}/v1/`))) return lookInto(name)
    const code = serverTiming.find((one) => one.name === "propylon")?.description
    if (code === "cookie_cross_site") {
      say(code)
      if (twoNames) say("loopback")
    }
    // Whatever the client asks of Propylon itself, it may well ask to find out that nobody is there.
    if (code === "credential_missing" && !name.startsWith(`${url}/v1/`) && (await auth.session().catch(() => null))) say(code, name)
  }

  auth.addEventListener("signed-in", () => (signedIn = true))
  auth.addEventListener("signed-out", (event) => {
    if (signedIn && /** @type {CustomEvent} */ (event).detail.code === "credential_missing") say("not_kept")
    signedIn = false
  })
  new PerformanceObserver((list) => /** @type {PerformanceResourceTiming[]} */ (list.getEntries()).forEach(note)).observe({ type: "resource", buffered: true })
}
