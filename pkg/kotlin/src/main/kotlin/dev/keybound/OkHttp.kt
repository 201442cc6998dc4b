package dev.keybound

import kotlinx.coroutines.cancel
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import okhttp3.Authenticator
import okhttp3.CacheControl
import okhttp3.Call
import okhttp3.CookieJar
import okhttp3.Interceptor
import okhttp3.Request
import okhttp3.Response
import okhttp3.Route
import okhttp3.internal.connection.RealCall
import java.io.IOException

/**
 * Sends every request of an `OkHttpClient` with a session's token and a fresh proof, as [KeyboundClient.call] does.
 *
 * The client must neither follow redirects nor repeat requests itself, nor have a cache, cookies or an authenticator: otherwise nothing is sent.
 * [KeyboundClient.install] makes one without. Requests to other origins than the session's are refused: use another `OkHttpClient` for those.
 *
 * `Call.cancel` ends a call also while it waits for its turn to renew the token. What goes wrong comes out as [KeyboundIOException], because OkHttp's callers expect an `IOException`.
 *
 * @param session the session to call with; asked for each request. Null: nobody is logged in
 */
public class KeyboundInterceptor(
    private val client: KeyboundClient,
    private val session: () -> Session?,
) : Interceptor {
    @Throws(IOException::class)
    override fun intercept(chain: Interceptor.Chain): Response = orIOException {
        checkClient(chain.call())
        val session = session() ?: throw nobody()
        untilCanceled(chain.call()) { client.call(session, chain.request()) { Once.unwrapped { chain.proceed(it) } } }
    }
}

/**
 * Answers a 401 with a session's token and a proof, for an `OkHttpClient` whose first request is sent without.
 *
 * It answers twice for one request at most: to the first refusal with token and proof, to the second with the server's nonce or a
 * renewed token. Prefer [KeyboundInterceptor], which sends one request less. Make the client with `followRedirects(false)` and without
 * cookies; the answers to its authorized requests are not put into its cache.
 *
 * @param session the session to call with; asked for each refusal. Null: the refusal stands
 */
public class KeyboundAuthenticator(
    private val client: KeyboundClient,
    private val session: () -> Session?,
) : Authenticator {
    @Throws(IOException::class)
    override fun authenticate(route: Route?, response: Response): Request? = orIOException {
        val session = session() ?: return@orIOException null
        val earlier = generateSequence(response) { it.priorResponse }.count { it.code == 401 }
        val asked = response.request.newBuilder().removeHeader("Authorization").removeHeader("DPoP").build()
        val wasAuthorized = response.request.header("DPoP") != null
        when {
            earlier > 2 || kindOf(asked.body) == CallBody.ONE_SHOT -> null
            else -> runBlocking { client.authorized(session, uncached(asked), response.takeIf { wasAuthorized }) }
        }
    }
}

/** What this account is answered is not kept for the next one, unless the application says otherwise. */
private fun uncached(request: Request): Request {
    if (request.header("Cache-Control") != null) return request
    return request.newBuilder().cacheControl(CacheControl.Builder().noStore().build()).build()
}

/** Refuses a client that takes proofs along redirects or mixes accounts, before anything is sent. */
private fun checkClient(call: Call) {
    // OkHttp offers its interceptors no other way to the client that they are in.
    val client = (call as? RealCall)?.client ?: return
    when {
        client.followRedirects -> throw unfit("follows redirects, and takes proofs along")
        client.retryOnConnectionFailure && Once !in client.networkInterceptors -> throw unfit("repeats requests whose answers were lost")
        client.cache != null -> throw unfit("has a cache, which gives one account the answers of another")
        client.cookieJar !== CookieJar.NO_COOKIES -> throw unfit("keeps cookies, which carry one account's state to another")
        client.authenticator !== Authenticator.NONE -> throw unfit("has an authenticator, which sends credentials of its own")
    }
}

/** Does something that waits, until its call is cancelled: OkHttp does not announce that, so it is polled. */
private fun <T> untilCanceled(call: Call, work: suspend () -> T): T = try {
    runBlocking {
        val watch = launch {
            while (!call.isCanceled()) delay(WATCH)
            this@runBlocking.cancel("the call was cancelled")
        }
        work().also { watch.cancel() }
    }
} catch (failure: Exception) {
    throw if (call.isCanceled()) IOException("Canceled", failure) else failure
}

/** Milliseconds between two looks at whether a call was cancelled. */
private const val WATCH = 50L

private fun nobody(): KeyboundException {
    val detail = "nobody is logged in; log in by KeyboundClient.authorize, or open a stored session"
    return KeyboundException.LoginRequired(Fault("no_session", detail))
}

private inline fun <T> orIOException(work: () -> T): T = try {
    work()
} catch (failure: IOException) {
    throw failure
} catch (failure: Exception) {
    throw KeyboundIOException(failure)
}
