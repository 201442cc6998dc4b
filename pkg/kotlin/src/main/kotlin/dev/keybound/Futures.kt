package dev.keybound

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.future.future
import okhttp3.Request
import okhttp3.Response
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer

/**
 * A [KeyboundClient] for Java: the same operations as futures.
 *
 * A cancelled future cancels its operation. Futures that fail do so with what the operation throws, above all [KeyboundException].
 */
public class KeyboundFutures(
    /** The client that carries them out. */
    public val client: KeyboundClient,
) : AutoCloseable {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.IO)

    /** As [KeyboundClient.discover]. */
    @JvmOverloads
    public fun discover(url: String, issuer: String? = null): CompletableFuture<Discovered> = future { client.discover(url, issuer) }

    /** As [KeyboundClient.discoverIssuer]. */
    public fun discoverIssuer(issuer: String): CompletableFuture<Discovered> = future { client.discoverIssuer(issuer) }

    /** As [KeyboundClient.authorize]. */
    public fun authorize(request: SessionRequest): CompletableFuture<Authorization> = future { client.authorize(request) }

    /** As [KeyboundClient.stepUp]. */
    public fun stepUp(session: Session, scope: String): CompletableFuture<Authorization> = future { client.stepUp(session, scope) }

    /** As [KeyboundClient.exchange]. */
    public fun exchange(callback: String): CompletableFuture<Session> = future { client.exchange(callback) }

    /** As [KeyboundClient.device]. */
    public fun device(request: SessionRequest, show: Consumer<DevicePrompt>): CompletableFuture<Session> =
        future { client.device(request, show::accept) }

    /** As [KeyboundClient.clientCredentials]. */
    public fun clientCredentials(request: SessionRequest): CompletableFuture<Session> = future { client.clientCredentials(request) }

    /** As [KeyboundClient.tokenExchange]. */
    public fun tokenExchange(request: SessionRequest, exchange: ExchangeRequest): CompletableFuture<Session> =
        future { client.tokenExchange(request, exchange) }

    /** As [KeyboundClient.exchangeFor]. */
    public fun exchangeFor(request: SessionRequest, exchange: ExchangeRequest): CompletableFuture<IssuedToken> =
        future { client.exchangeFor(request, exchange) }

    /** As [KeyboundClient.jwtBearer]. */
    public fun jwtBearer(request: SessionRequest, assertion: String): CompletableFuture<Session> =
        future { client.jwtBearer(request, assertion) }

    /** As [KeyboundClient.open]. */
    @JvmOverloads
    public fun open(name: String, boundTo: String? = null): CompletableFuture<Session> = future { client.open(name, boundTo) }

    /** As [KeyboundClient.adopt]. */
    public fun adopt(token: HeldToken): CompletableFuture<Session> = future { client.adopt(token) }

    /** As [KeyboundClient.keep]. */
    public fun keep(session: Session): CompletableFuture<Void?> = done { client.keep(session) }

    /** As [KeyboundClient.refresh]. */
    public fun refresh(session: Session): CompletableFuture<Void?> = done { client.refresh(session) }

    /** As [KeyboundClient.rekey]. */
    public fun rekey(session: Session): CompletableFuture<Void?> = done { client.rekey(session) }

    /** As [KeyboundClient.revoke]. */
    public fun revoke(session: Session): CompletableFuture<Void?> = done { client.revoke(session) }

    /** As [KeyboundClient.end]. */
    public fun end(session: Session): CompletableFuture<Boolean> = future { client.end(session) }

    /** As [KeyboundClient.introspect]. */
    public fun introspect(discovered: Discovered, token: String): CompletableFuture<String> =
        future { client.introspect(discovered, token) }

    /** As [KeyboundClient.call]. */
    public fun call(session: Session, request: Request): CompletableFuture<Response> = future { client.call(session, request) }

    /** As [KeyboundClient.authorized]. */
    @JvmOverloads
    public fun authorized(session: Session, request: Request, refused: Response? = null): CompletableFuture<Request?> =
        future { client.authorized(session, request, refused) }

    /** Cancels what is under way. The client stays. */
    override fun close(): Unit = scope.cancel()

    private fun done(work: suspend () -> Unit): CompletableFuture<Void?> = future {
        work()
        null
    }

    private fun <T> future(work: suspend () -> T): CompletableFuture<T> = scope.future { work() }
}
