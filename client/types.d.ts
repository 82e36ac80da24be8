// What the browser client takes and gives. Not served: propylon.js names these types in its comments alone.

export type Mode = "cookie" | "bearer" | "hybrid"

export interface Options {
  /** Where Propylon is; without it, where the module came from. */
  url?: string
  /** How a sign-in travels; without it, the server's own. */
  mode?: Mode
  /** Other origins whose APIs are given the credential. */
  origins?: string[]
  /** For each question to Propylon; 10,000 without it. */
  timeoutMs?: number
  /** Of what people read, as a language tag; without it, the browser's. */
  language?: string | (() => string)
  /** Whether to be told at once when the session ends; true without it. */
  events?: boolean
  /** Keeps tokens where every script of the origin can read them, also after a reload. */
  unsafe_storage?: "localStorage" | "sessionStorage"
}

export interface SignIn {
  email: string
  password: string
  /** Whether the browser keeps the cookie when it is closed. */
  remember?: boolean
  mode?: Mode
  /** A session to end, to make room under a limit. */
  end?: string
}

export interface User {
  id: string
  email: string
  name: string
  roles: string[]
  permissions: string[]
}

export interface Session {
  id: string
  current: boolean
  mode: Mode
  created_at: string
  last_seen_at: string
  expires_at: string
  device: { browser: string; os: string; kind: string }
  ip: string
  sign_in_method: string
}

export interface Who {
  user: User
  session: Session
}

/** A problem body (RFC 9457), or what the client itself has to say. */
export interface Problem {
  code: string
  status?: number
  title?: string
  detail?: string
  [more: string]: any
}

/** What the events carry in `detail`. */
export interface Details {
  "signed-in": Who
  "signed-out": Problem
  evicted: Problem
  renewed: { expiresInS: number }
  /** `preventDefault` keeps the request until `confirm`, `signIn` or `resume`. */
  "reauthentication-required": Problem & { resume: () => void; cancel: () => void }
}

export interface Events extends EventTarget {
  addEventListener<Name extends keyof Details>(
    type: Name,
    listener: (event: CustomEvent<Details[Name]>) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void
}

/** What one tab holds. `n` counts what all tabs have been given; `at` and `since` are one moment by two clocks. */
export interface Held {
  mode: Mode
  sid: string
  user: string
  token?: string
  refresh?: string
  /** Seconds from that moment. */
  life: number
  at: number
  since: number
  n: number
  /** Seconds before the end at which it is renewed. */
  early: number
}

/** A request that waits for a person. */
export interface Kept {
  owner: string | null
  done: (go: boolean) => void
  failed: (error: Error) => void
}

/** How Propylon is asked. */
export interface Call {
  body?: object
  token?: string
  /** Cookies go along without it. */
  credentials?: RequestCredentials
  /** What the answer must have. */
  needs?: string
}
