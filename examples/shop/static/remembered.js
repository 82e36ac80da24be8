// What this browser remembers. Where it stores nothing, because that is blocked or full, this page remembers by itself.

const memory = new Map()

export const recall = (name) => {
  try {
    return memory.get(name) ?? localStorage.getItem(name)
  } catch {
    return null
  }
}

export const remember = (name, value) => {
  try {
    localStorage.setItem(name, value)
    memory.delete(name)
  } catch {
    memory.set(name, value)
  }
}

export const forget = (name) => {
  memory.delete(name)
  try {
    localStorage.removeItem(name)
  } catch {} // then it has nothing
}
