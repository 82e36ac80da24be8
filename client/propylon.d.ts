/** Why something did not happen. `code` is for programs, `title` and `detail` are for people, in their language. */
export class PropylonError extends Error {
    /** @param {Problem} problem */
    constructor(problem: Problem);
    code: string;
    /** HTTP status; 0 where there was no answer. */
    status: number;
    title: string;
    detail: string;
    /** Everything that was said: `errors`, `sessions`, `ended_at`, `ended_by`, `retry_after_s`, ... */
    problem: Problem;
}
/**
 * One sign-in, shared by all tabs of an origin.
 *
 * Events: `signed-in` with user and session; `signed-out` with the reason, and before it `evicted` where somebody ended the
 * session from elsewhere; `renewed`; `reauthentication-required`, which keeps the request for whoever calls `preventDefault`.
 */
export class Propylon extends EventTarget {
    /** @param {Options} [options] */
    constructor(options?: Options);
    /**
     * Signs in.
     * @param {SignIn} person
     * @returns {Promise<Who>}
     */
    signIn({ email, password, remember, mode, end }: SignIn): Promise<Who>;
    /** Signs out, in all tabs. Rejects where Propylon does not answer: the session goes on then. */
    signOut(): Promise<void>;
    /**
     * Says who is signed in, as `GET /v1/session` does; null when nobody is.
     * @returns {Promise<Who | null>}
     */
    session(): Promise<Who | null>;
    /**
     * As `fetch`, with what the mode needs: renewed before it runs out, repeated once after a refusal, resumed after the person
     * has signed in or confirmed. Origins that are not named get a plain request.
     * @param {RequestInfo | URL} input
     * @param {RequestInit} [init]
     * @returns {Promise<Response>}
     */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /**
     * Makes sure that the sign-in lasts for so many seconds from now.
     * @param {number} seconds
     */
    ensureFresh(seconds: number): Promise<void>;
    /**
     * Proves again who is there; what has waited for that goes on.
     * @param {string} password
     */
    confirm(password: string): Promise<void>;
    /** Lets go of timer, stream and channel. */
    close(): void;
    #private;
}
import type { Problem } from "./types.js";
import type { SignIn } from "./types.js";
import type { Who } from "./types.js";
import type { Options } from "./types.js";
