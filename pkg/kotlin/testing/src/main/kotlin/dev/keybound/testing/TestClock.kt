package dev.keybound.testing

import dev.keybound.Clock
import java.util.concurrent.atomic.AtomicLong

/**
 * A clock that stands still until a test moves it. The app's client and the servers of a [TestIssuer] read the same one.
 *
 * @param start what it shows at first: 14 November 2023, 22:13:20 UTC, unless told otherwise
 */
public class TestClock @JvmOverloads constructor(start: Long = START) : Clock {
    private val seconds = AtomicLong(start)

    override fun now(): Long = seconds.get()

    /** Moves it to a time, which may be in its past. */
    public fun set(time: Long): Unit = seconds.set(time)

    /** Moves it ahead. */
    public fun advance(bySeconds: Long) {
        seconds.addAndGet(bySeconds)
    }

    private companion object {
        const val START = 1_700_000_000L
    }
}
