// Improves the pages; every one of them works without it.

const language = document.documentElement.lang

// The summary of errors is what a person needs first. Where the browser has honoured `autofocus`, it has the focus.
const AUTOFOCUS_WITHIN_MS = 200

setTimeout(() => {
  if (document.activeElement === document.body) document.querySelector("[data-focus]")?.focus()
}, AUTOFOCUS_WITHIN_MS)

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal)
  const show = (visible) => {
    input.type = visible ? "text" : "password"
    button.textContent = visible ? button.dataset.hide : button.dataset.show
    button.setAttribute("aria-label", visible ? button.dataset.hideLabel : button.dataset.showLabel)
  }
  show(false)
  button.hidden = false
  button.addEventListener("click", () => show(input.type === "password"))
  // Hidden again before it is sent: browsers offer to save a password, and to complete a text.
  input.form?.addEventListener("submit", () => show(false))
}

// A second press sends nothing. After this long the first answer is not coming any more: let people retry.
const RESEND_AFTER_MS = 15_000

const release = (form) => {
  delete form.dataset.sent
  form.removeAttribute("aria-busy")
}

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault()
      return
    }
    form.dataset.sent = "yes"
    form.setAttribute("aria-busy", "true")
    setTimeout(release, RESEND_AFTER_MS, form)
  })
  // Back from the next page, with this one as it was left.
  addEventListener("pageshow", () => release(form))
}

// The same steps as on the server (propylon/language.py), so that a text does not jump when it is refreshed.
const STEPS_S = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
]
const REFRESH_EVERY_MS = 30_000

const relative = new Intl.RelativeTimeFormat(language, { numeric: "always" })

const ago = (distance_s, justNow) => {
  for (const [unit, unit_s] of STEPS_S) {
    if (distance_s >= unit_s) return relative.format(-Math.floor(distance_s / unit_s), unit)
  }
  return justNow
}

for (const list of document.querySelectorAll("[data-now]")) {
  // The server's clock counts, not the one of this device.
  const ahead_ms = Number(list.dataset.now) * 1000 - Date.now()
  const refresh = () => {
    for (const time of list.querySelectorAll("time[data-ago]")) {
      const distance_s = (Date.now() + ahead_ms - Date.parse(time.dateTime)) / 1000
      time.textContent = ago(distance_s, list.dataset.justNow)
    }
  }
  setInterval(refresh, REFRESH_EVERY_MS)
  document.addEventListener("visibilitychange", () => document.hidden || refresh())
}

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const text = button.textContent
    button.hidden = false
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
      button.textContent = button.dataset.copied
      setTimeout(() => (button.textContent = text), 2_000)
    })
  }
}

// The progress of a change of mode, for as long as somebody looks at it. The server counts at its own pace.
const LOOK_EVERY_MS = 5_000
// Every look is a request of whoever is signed in: a page that nobody minds must not keep them signed in for ever.
const MINDED_FOR_MS = 600_000

const live = document.getElementById("live")
if (live?.dataset.live) {
  const lost = document.getElementById("live-lost")
  let minded = Date.now()
  const look = async () => {
    if (document.hidden || Date.now() - minded > MINDED_FOR_MS) return
    try {
      const answer = await fetch(location.pathname, { redirect: "error", cache: "no-store" })
      lost.hidden = answer.ok
      if (!answer.ok) return
      const seen = new DOMParser().parseFromString(await answer.text(), "text/html")
      const next = seen.getElementById("live")
      // Somebody has decided otherwise meanwhile: then the buttons are others too.
      if (next?.dataset.live !== live.dataset.live) return location.reload()
      live.replaceChildren(...next.childNodes)
      const [state, said] = [seen, document].map((page) => page.getElementById("live-state"))
      // Only what is new is read out.
      if (said.textContent !== state.textContent) said.textContent = state.textContent
    } catch {
      lost.hidden = false
    }
  }
  setInterval(look, LOOK_EVERY_MS)
  document.addEventListener("visibilitychange", look)
  for (const sign of ["pointermove", "pointerdown", "keydown", "scroll"]) {
    addEventListener(sign, () => (minded = Date.now()), { passive: true })
  }
}
