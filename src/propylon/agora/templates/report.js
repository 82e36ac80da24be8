// The page works without this: it picks the reader's language at first, and weighs the answers of "And for you?".
if (navigator.language.startsWith("ko")) document.getElementById("tongue-ko").checked = true
for (const radio of document.querySelectorAll(".tongue")) {
  const speak = () => (document.documentElement.lang = document.getElementById("tongue-ko").checked ? "ko" : "en")
  radio.addEventListener("change", speak)
  speak()
}

const { groups, choices, rules } = JSON.parse(document.getElementById("rules").textContent)
const form = document.getElementById("questions")

// The same arithmetic as propylon/agora/recommendation.py.
const advise = (answers) => {
  const matching = rules.filter(({ when }) => Object.entries(when).every(([name, wanted]) => wanted.includes(answers[name])))
  const points = {}
  for (const rule of matching) for (const [choice, given] of Object.entries(rule.points)) points[choice] = (points[choice] ?? 0) + given
  const best = (group) => group.reduce((one, other) => ((points[other] ?? 0) > (points[one] ?? 0) ? other : one))
  const chosen = groups.map(best)
  const speaks = (rule) => chosen.some((choice) => choice in rule.points)
  return { chosen, reasons: matching.filter(speaks), besides: matching.filter((rule) => !speaks(rule)) }
}

const both = (tag, said) => {
  const element = document.createElement(tag)
  for (const tongue of ["en", "ko"]) {
    const span = document.createElement("span")
    span.lang = tongue
    span.textContent = said[tongue]
    element.append(span)
  }
  return element
}

const show = () => {
  const { chosen, reasons, besides } = advise(Object.fromEntries(new FormData(form)))
  const parts = chosen.map((choice) => both("h3", choices[choice]))
  for (const [title, told] of [[null, reasons], [{ en: "To be known as well", ko: "함께 알아 둘 것" }, besides]]) {
    if (!told.length) continue
    if (title) parts.push(both("h4", title))
    const list = document.createElement("ul")
    list.append(...told.map(({ why }) => both("li", why)))
    parts.push(list)
  }
  document.getElementById("advised").replaceChildren(...parts)
}
form.addEventListener("change", show)
show()
