/** `code` is for programs, `title` and `detail` for people. */
export class PropylonError extends Error {
    /** @param {Problem} problem */
    constructor(problem: Problem);
    code: string;
    /** HTTP status; 0 where there was no answer. */
    status: number;
    title: string;
    detail: string;
    /** All that was said. */
    problem: Problem;
}
declare const Propylon_base: new () => Events;
/**
 * One sign-in, shared by all tabs of an origin.
 *
 * Events: `signed-in`, `signed-out`, `evicted`, `renewed`, `reauthentication-required`.
 */
export class Propylon extends Propylon_base {
    /** @param {Options} [options] */
    constructor(options?: Options);
    /**
     * Signs in.
     * @param {SignIn} person
     * @returns {Promise<Who>}
     */
    signIn({ email, password, remember, mode, end }: SignIn): Promise<Who>;
    /** Signs out, in all tabs; rejects where Propylon does not answer. */
    signOut(): Promise<void>;
    /**
     * Says who is signed in, as `GET /v1/session` does; null when nobody is.
     * @returns {Promise<Who | null>}
     */
    session(): Promise<Who | null>;
    /**
     * As `fetch`, with what the mode needs; repeated once after a refusal, resumed when the person is there again.
     * @param {RequestInfo | URL} input
     * @param {RequestInit} [init]
     * @returns {Promise<Response>}
     */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /**
     * The sign-in lasts for so many seconds from now, or this rejects.
     * @param {number} seconds
     */
    ensureFresh(seconds: number): Promise<void>;
    /**
     * Proves again who is there; what has waited for that goes on.
     * @param {string} password
     */
    confirm(password: string): Promise<void>;
    /** Lets go of all. */
    close(): void;
    #private;
}
import type { Problem } from "./types.js";
import type { Events } from "./types.js";
import type { SignIn } from "./types.js";
import type { Who } from "./types.js";
import type { Options } from "./types.js";
export {};
