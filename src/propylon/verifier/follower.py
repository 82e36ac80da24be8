"""The thread that follows the feed: connects, reads, resumes, and tries again for as long as it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from propylon.verifier.events import Event, EventReader, FeedBroken, revoked
from propylon.verifier.fetching import FAILURES, AnswerRefused, FeedStream, Source
from propylon.verifier.knowledge import Knowledge

logger = logging.getLogger("propylon.verifier")

FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 5.0
STOP_WITHIN_S = 2.0


class Follower:
    """Follows one feed into one ``Knowledge``."""

    def __init__(
        self,
        source: Source,
        knowledge: Knowledge,
        *,
        max_silence_s: float,
        chance: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._source, self._knowledge, self._max_silence_s, self._chance = source, knowledge, max_silence_s, chance
        self._monotonic = monotonic
        self._stream: FeedStream | None = None
        self._stopping = threading.Event()
        self._last_event_id = ""
        self._keys_due = True
        self._caught_up = False
        self._failures = 0
        self._told = ""
        self.settled = threading.Event()
        """Set when it knows everything for the first time, or that it will not."""
        self._thread = threading.Thread(target=self._run, name="propylon-verifier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a request under way is cut off."""
        self._stopping.set()
        if (stream := self._stream) is not None:
            stream.end()
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except FAILURES as error:
                self._tell(error)
            except Exception:
                logger.exception("following the feed failed")
            self._failures += 1
            self._knowledge.tidy()
            self._stopping.wait(self._pause_s())

    def _pause_s(self) -> float:
        """Back off, each verifier by another time: a thousand of them must not come back in one moment."""
        longest_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10))
        return longest_s * (0.5 + self._chance() / 2)

    def _follow(self) -> None:
        """Read until it breaks, which it always does in the end, by an exception."""
        self._caught_up = False
        with self._source.feed(self._last_event_id, self._max_silence_s) as stream:
            self._stream = stream
            events, returned_at, event_at = EventReader(), self._monotonic(), self._monotonic()
            while not self._stopping.is_set():
                # What comes now was sent after the last read had returned: that, and no later, is what it vouches for.
                vouched_for, received, returned_at = returned_at, stream.read(), self._monotonic()
                if self._took_in(events, received):
                    event_at = returned_at
                    self._vouch(vouched_for)
                elif returned_at - event_at > self._max_silence_s:
                    raise FeedBroken("nothing but fragments")
                self._knowledge.tidy()

    def _took_in(self, events: EventReader, received: bytes) -> bool:
        """Act on what came; return whether anything was whole."""
        any_whole = False
        for event in events.feed(received):
            any_whole = True
            self._act(event)
        return any_whole

    def _act(self, event: Event) -> None:
        if event.name == "revoked":
            ending = revoked(event.data)
            self._knowledge.session_ended(ending.sid, ending.reason)
        elif event.name == "keys":
            self._keys_due = True
        elif event.name == "reset":
            # What was missed may have been about keys. Endings that are held stay: nothing takes them back.
            self._keys_due, self._last_event_id = True, ""
        elif event.name == "ready":
            self._caught_up = True
        if event.id:
            self._last_event_id = event.id

    def _vouch(self, at: float) -> None:
        if not self._caught_up:
            return
        if self._keys_due:
            self._load_keys()
        self._knowledge.heard(at)
        if self._failures or self._told or not self.settled.is_set():
            logger.info("following the feed")
            self._failures, self._told = 0, ""
            self.settled.set()

    def _load_keys(self) -> None:
        self._knowledge.load_keys()
        self._keys_due = False

    def _tell(self, error: Exception) -> None:
        """Say what is wrong once, not at every attempt."""
        if self._stopping.is_set():
            return
        refused = isinstance(error, AnswerRefused) and error.status in (401, 403)
        sentence = REFUSED if refused else f"the feed cannot be followed: {str(error) or type(error).__name__}"
        if sentence != self._told:
            logger.log(logging.ERROR if refused else logging.WARNING, "%s", sentence)
        self._told = sentence
        if refused:
            self.settled.set()


REFUSED = (
    "the issuer refuses the secret of this verifier, so every token is refused here: make one with"
    " `propylon verifiers add NAME` and give it as secret"
)
