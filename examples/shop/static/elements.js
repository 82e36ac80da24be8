// Elements of the page: found, and made.

export const at = (id) => document.getElementById(id)

export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}

export const picture = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use")
  use.setAttribute("href", `/goods.svg#${name}`)
  svg.setAttribute("aria-hidden", "true")
  svg.append(use)
  return svg
}

// A button that the focus finds again when what it stands in has been made anew.
export const pressable = (key, label, className, onclick, text) => {
  const button = make("button", { type: "button", className, onclick }, text)
  button.dataset.key = key
  button.setAttribute("aria-label", label)
  return button
}
