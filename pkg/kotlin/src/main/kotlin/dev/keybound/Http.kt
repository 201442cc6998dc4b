package dev.keybound

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext
import okhttp3.Authenticator
import okhttp3.Call
import okhttp3.Callback
import okhttp3.CookieJar
import okhttp3.Dispatcher
import okhttp3.Interceptor
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.MediaType.Companion.toMediaTypeOrNull
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import okhttp3.internal.http2.ConnectionShutdownException
import okhttp3.internal.http2.ErrorCode
import okhttp3.internal.http2.StreamResetException
import java.io.IOException
import java.net.ProtocolException
import java.util.concurrent.SynchronousQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException

/** The client where the caller gives none. Its threads are daemons, as those of coroutines are: they do not keep the JVM from ending after `main`. */
internal fun ownHttpClient(): OkHttpClient {
    val threads = ThreadPoolExecutor(0, Int.MAX_VALUE, 60, TimeUnit.SECONDS, SynchronousQueue()) { work ->
        Thread(work, "Keybound OkHttp").apply { isDaemon = true }
    }
    return OkHttpClient.Builder().dispatcher(Dispatcher(threads)).build()
}

/**
 * The same client for requests of sessions, with nothing that outlives one or answers for it.
 *
 * The core follows redirects, with a proof for each and never to elsewhere, and decides what is sent again. A cache and cookies would give one account what is another's, and an authenticator would
 * send credentials of its own.
 */
internal fun OkHttpClient.forSessions(): OkHttpClient = newBuilder()
    .apply { if (Once !in networkInterceptors()) addNetworkInterceptor(Once) }
    .followRedirects(false)
    .followSslRedirects(false)
    .cache(null)
    .cookieJar(CookieJar.NO_COOKIES)
    .authenticator(Authenticator.NONE)
    .build()

/**
 * Has OkHttp send a request once. By itself it would send a `POST` again, with the same proof, whose answer was lost on a connection that was
 * kept open. Where there was no connection, it goes on to the server's next address, and a stream that the server refused unread it sends again.
 */
internal object Once : Interceptor {
    override fun intercept(chain: Interceptor.Chain): Response = try {
        chain.proceed(chain.request())
    } catch (failure: IOException) {
        val isUnread = failure is ConnectionShutdownException || (failure as? StreamResetException)?.errorCode == ErrorCode.REFUSED_STREAM
        throw if (isUnread) failure else Lost(failure)
    }

    /** OkHttp does not take a violation of the protocol for one that another connection would fix. */
    class Lost(override val cause: IOException) : ProtocolException()

    /** Does something that sends, and throws what was wrong. */
    inline fun <T> unwrapped(work: () -> T): T = try {
        work()
    } catch (lost: Lost) {
        throw lost.cause
    }
}

/** Waits for an answer without a thread; a cancelled task cancels its call. */
internal suspend fun Call.await(): Response = suspendCancellableCoroutine { continuation ->
    continuation.invokeOnCancellation { cancel() }
    enqueue(object : Callback {
        override fun onFailure(call: Call, e: IOException) = continuation.resumeWithException((e as? Once.Lost)?.cause ?: e)

        override fun onResponse(call: Call, response: Response) = try {
            continuation.resume(response) { _, unwanted, _ -> unwanted.close() }
        } catch (error: LinkageError) {
            // OkHttp would end its thread with this, and the caller would wait for ever.
            response.close()
            val found = "an older one comes before it on the class path"
            continuation.resumeWithException(IllegalStateException("Keybound needs kotlinx-coroutines 1.10.2 or newer; $found", error))
        }
    })
}

/** Requests to authorization servers. */
internal class ServerExchange(private val client: OkHttpClient) : Exchange {
    override suspend fun send(request: HttpRequest): HttpResponse {
        val body = (request.body as? HttpBody.Bytes)?.content
        val call = client.newCall(built(Request.Builder(), request, body?.toRequestBody(typeOf(request))))
        call.timeout().timeout(request.timeout ?: DEFAULT_TIMEOUT, TimeUnit.SECONDS)
        return call.await().use { response ->
            HttpResponse(response.code, fields(response), withContext(Dispatchers.IO) { read(response, request.maxBody ?: 0) })
        }
    }

    private fun read(response: Response, limit: Long): ByteArray {
        val source = response.body?.source() ?: return ByteArray(0)
        if (limit > 0 && source.request(limit + 1)) throw IOException("the answer is longer than $limit bytes")
        return if (limit > 0) source.readByteArray() else ByteArray(0)
    }

    private companion object {
        /** Seconds for a whole answer. */
        const val DEFAULT_TIMEOUT = 60L
    }
}

/** The caller's own request, sent as often as the core asks. Keeps the last answer, its body unread. */
internal class CallExchange(private val request: Request, private val send: suspend (Request) -> Response) : Exchange {
    /** The last answer. */
    var response: Response? = null
        private set

    private var isSent = false

    /** Asked for once: a body that says something else later is still the one that was looked at. */
    private val kind = kindOf(request.body)

    /** The operation of the core for this request. OkHttp's URL is what goes over the wire. */
    fun operation(session: Session): CoreOperation {
        val headers = request.headers.map { (name, value) -> Header(name, value) }
        return CoreOperation.Call(session, CallRequest(request.method, request.url.toString().substringBefore('#'), headers, kind))
    }

    override suspend fun send(request: HttpRequest): HttpResponse {
        forget()
        val body = when (request.body) {
            is HttpBody.Repeatable -> this.request.body
            is HttpBody.OneShot -> this.request.body.also {
                check(!isSent) { "the body was sent already" }
                isSent = true
            }
            else -> null
        }
        val answered = send(built(this.request.newBuilder(), request, body))
        val followed = generateSequence(answered.priorResponse) { it.priorResponse }.any { it.isRedirect }
        if (followed) {
            answered.close()
            throw unfit("follows redirects, and takes proofs along")
        }
        response = answered
        return HttpResponse(answered.code, fields(answered), ByteArray(0))
    }

    /** Closes the last answer, which nobody wants any more. */
    fun forget() {
        response?.close()
        response = null
    }
}

/** How often a body can be sent. */
internal fun kindOf(body: RequestBody?): CallBody = when {
    body == null -> CallBody.EMPTY
    body.isOneShot() || body.isDuplex() -> CallBody.ONE_SHOT
    else -> CallBody.REPEATABLE
}

/** The caller's `OkHttpClient` does what a session's must not. Nothing is tried again: it would do the same. */
internal fun unfit(what: String): KeyboundException =
    KeyboundException.Misuse(Fault("unfit_http_client", "this OkHttpClient $what; make it by KeyboundClient.install"))

/** A request of the core as OkHttp's. */
internal fun built(builder: Request.Builder, request: HttpRequest, body: RequestBody?): Request {
    builder.url(request.url)
    builder.headers(okhttp3.Headers.Builder().apply { request.headers.forEach { addUnsafeNonAscii(it.name, it.value) } }.build())
    val needsBody = request.method in setOf("POST", "PUT", "PATCH", "PROPPATCH", "REPORT")
    return builder.method(request.method, body ?: if (needsBody) ByteArray(0).toRequestBody() else null).build()
}

private fun typeOf(request: HttpRequest) =
    request.headers.firstOrNull { it.name.equals("content-type", ignoreCase = true) }?.value?.toMediaTypeOrNull()
        ?: "application/octet-stream".toMediaType()

private fun fields(response: Response): List<Header> = response.headers.map { (name, value) -> Header(name, value) }
