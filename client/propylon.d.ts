export class PropylonError extends Error {
    /** @param {Problem} problem */
    constructor(problem: Problem);
    code: string;
    /** 0 without an answer. */
    status: number;
    title: string;
    detail: string;
    problem: Problem;
}
declare const Propylon_base: new () => Events;
/** One sign-in, shared by all tabs of an origin. */
export class Propylon extends Propylon_base {
    /** @param {Options} [options] */
    constructor(options?: Options);
    /** Signs in. @param {SignIn} person @returns {Promise<Who>} */
    signIn({ email, password, remember, mode, end }: SignIn): Promise<Who>;
    /** Signs out, in all tabs; rejects where Propylon does not answer. */
    signOut(): Promise<void>;
    /** Who is signed in, or null. @returns {Promise<Who | null>} */
    session(): Promise<Who | null>;
    /** As `fetch`, with what the mode needs. @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>} */
    fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
    /** The sign-in lasts for so long from now, or this rejects. @param {number} seconds */
    ensureFresh(seconds: number): Promise<void>;
    /** Proves again who is there; what waits for that goes on. @param {string} password */
    confirm(password: string): Promise<void>;
    /** Lets go of timers, stream and channel. */
    close(): void;
    #private;
}
import type { Problem } from "./types.js";
import type { Events } from "./types.js";
import type { SignIn } from "./types.js";
import type { Who } from "./types.js";
import type { Options } from "./types.js";
export {};
