package dev.keybound

import java.io.IOException

/**
 * What OkHttp's callers see where a [KeyboundInterceptor] could not send a request: OkHttp carries no other exceptions to them.
 *
 * [error] is the reason: above all [KeyboundException.LoginRequired].
 */
public class KeyboundIOException internal constructor(public val error: Exception) : IOException(error.message, error)
