@file:JvmName("Responses")

package dev.keybound

import okhttp3.Response

/** What would help against this refusal, which [KeyboundClient.call] or a [KeyboundInterceptor] gave: a login, or more scope. */
public val Response.demand: Demand?
    @JvmName("demand")
    get() = request.tag(Demand::class.java)

/** Why a malformed line of this answer's `WWW-Authenticate` was ignored, if one was; the other lines count. */
public val Response.ignoredChallenge: String?
    @JvmName("ignoredChallenge")
    get() = request.tag(IgnoredChallenge::class.java)?.reason

internal class IgnoredChallenge(val reason: String)
