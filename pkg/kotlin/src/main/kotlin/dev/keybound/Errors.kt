package dev.keybound

import java.io.IOException

/** What is known of the error, whatever its case. */
public val KeyboundException.fault: Fault
    get() = when (this) {
        is KeyboundException.Rejected -> fault
        is KeyboundException.Misuse -> fault
        is KeyboundException.LoginRequired -> fault
        is KeyboundException.Flow -> fault
        is KeyboundException.Host -> fault
    }

/** The error's stable name, for programs, for example `replayed`. */
public val KeyboundException.reason: String
    get() = fault.reason

/**
 * What OkHttp's callers see where a [KeyboundInterceptor] could not send a request: OkHttp carries no other exceptions to them.
 *
 * [error] is the reason: above all [KeyboundException.LoginRequired].
 */
public class KeyboundIOException internal constructor(public val error: Exception) : IOException(error.message, error)
