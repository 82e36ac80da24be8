// The shop's page. Where it keeps what it was given at the sign-in is what differs.
import { Propylon } from "/propylon.js"

const OPTIONS = {
  cookie: { mode: "cookie" },
  stored: { mode: "bearer", unsafe_storage: "localStorage" },
  claimed: { mode: "hybrid", unsafe_storage: "localStorage" },
  memory: { mode: "bearer" },
  hybrid: { mode: "hybrid" },
}
const choice = new URLSearchParams(location.search).get("choice")
const naive = !(choice in OPTIONS)
const propylon = naive ? null : new Propylon({ ...OPTIONS[choice], events: false })
const element = (id) => document.getElementById(id)

async function signIn(email, password) {
  if (propylon) return propylon.signIn({ email, password })
  const answer = await fetch(`/naive/sign-in?cookie=${choice}&user=${encodeURIComponent(email)}`, { method: "POST" })
  if (!answer.ok) throw new Error(`sign-in: ${answer.status}`)
}

async function order() {
  const answer = await (naive ? fetch("/naive/orders?by=page", { method: "POST" }) : propylon.fetch("/orders?by=page", { method: "POST" }))
  if (!answer.ok) throw new Error(`order: ${answer.status}`)
}

const does = (work, done) => (event) => {
  event.preventDefault()
  work(event).then(() => (document.title = done), (error) => (document.title = `failed: ${error}`))
}
element("sign-in").addEventListener("submit", does(({ target }) => signIn(target.email.value, target.password.value), "signed in"))
element("order").addEventListener("click", does(order, "ordered"))
// What visitors wrote is shown as it stands: the hole that the injected script comes through.
element("reviews").addEventListener("click", async () => (element("written").innerHTML = await (await fetch("/reviews")).text()))
document.title = "ready"
