package dev.keybound

import kotlinx.coroutines.runBlocking
import okhttp3.Authenticator
import okhttp3.Interceptor
import okhttp3.Request
import okhttp3.Response
import okhttp3.Route
import java.io.IOException

/**
 * Sends every request of an `OkHttpClient` with a session's token and a fresh proof, as [KeyboundClient.call] does.
 *
 * The client must not follow redirects itself; [KeyboundClient.install] makes one that does not. Requests to other origins than the
 * session's are refused: use another `OkHttpClient` for those.
 *
 * What goes wrong comes out as [KeyboundIOException], because OkHttp's callers expect an `IOException`.
 *
 * @param session the session to call with; asked for each request. Null: nobody is logged in
 */
public class KeyboundInterceptor(
    private val client: KeyboundClient,
    private val session: () -> Session?,
) : Interceptor {
    @Throws(IOException::class)
    override fun intercept(chain: Interceptor.Chain): Response = orIOException {
        val session = session() ?: throw nobody()
        runBlocking { client.call(session, chain.request()) { chain.proceed(it) } }
    }
}

/**
 * Answers a 401 with a session's token and a proof, for an `OkHttpClient` whose first request is sent without.
 *
 * It answers twice for one request at most: to the first refusal with token and proof, to the second with the server's nonce or a
 * renewed token. Prefer [KeyboundInterceptor], which sends one request less.
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
            earlier > 2 || asked.body?.isOneShot() == true -> null
            else -> runBlocking { client.authorized(session, asked, response.takeIf { wasAuthorized }) }
        }
    }
}

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
