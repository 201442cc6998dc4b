package dev.keybound

import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import java.io.IOException

/**
 * An OAuth 2.1 client whose tokens are bound to keys: whoever steals one cannot use it.
 *
 * It makes keys and proofs, keeps nonces, repeats what has to be repeated, and renews tokens, once for all tasks and processes that share
 * a store. All state of an account is in its session: there is nothing global, and several accounts have a session each.
 *
 * Functions throw [KeyboundException], and what keys, stores and the network throw, as it is.
 *
 * @param options how it behaves
 * @param keys where its keys live
 * @param sessions where its sessions live
 * @param http sends its requests, with its proxies, timeouts, certificates and interceptors. Redirects are followed, and requests repeated, by this client and
 * not by OkHttp; its cache, cookies and authenticator are not used, so that nothing of one account reaches another. The default one's threads do not keep the JVM from
 * ending; those of an `OkHttpClient` of yours do for a minute after the last request, unless its dispatcher has daemon threads
 * @param clock the time by which proofs are made
 * @throws KeyboundException.Misuse if an option cannot be used
 */
public class KeyboundClient @JvmOverloads @Throws(KeyboundException::class) constructor(
    options: ClientOptions,
    keys: ProofKeyStore = SoftwareKeys(),
    sessions: SessionStore = MemorySessions(),
    http: OkHttpClient = ownHttpClient(),
    private val clock: Clock = Clock.SYSTEM,
) : AutoCloseable {
    private val core = CoreClient(options)
    private val http = http.forSessions()
    private val host = Host(keys, sessions, ServerExchange(this.http), clock, Sweeper.of(keys, sessions, clock))

    /**
     * Finds out what protects [url], from its answer to a request without a token.
     *
     * @param issuer the authorization server's identifier, for a resource that publishes none; one that is published goes before
     */
    @JvmOverloads
    public suspend fun discover(url: String, issuer: String? = null): Discovered =
        found(run(CoreOperation.Discover(url, null, issuer)))

    /** Finds the authorization server with this issuer identifier, for resources that publish no metadata. */
    public suspend fun discoverIssuer(issuer: String): Discovered = found(run(CoreOperation.DiscoverIssuer(issuer)))

    /** Begins a login: bring the browser to the URL, and what it comes back to, to [exchange]. */
    public suspend fun authorize(request: SessionRequest): Authorization = begun(run(CoreOperation.Authorize(request)))

    /** Begins a login for more scope, which [Demand.StepUp] names. */
    public suspend fun stepUp(session: Session, scope: String): Authorization = begun(run(CoreOperation.StepUp(session, scope)))

    /** Completes a login with the URL that the browser came back to. */
    public suspend fun exchange(callback: String): Session = opened(run(CoreOperation.Exchange(callback)))

    /** Logs in on another device (RFC 8628): [show] is given what the user has to see, and the login is waited for. */
    public suspend fun device(request: SessionRequest, show: (DevicePrompt) -> Unit): Session {
        val prompted = expected<Outcome.DevicePrompted>(run(CoreOperation.Device(request)))
        show(prompted.prompt)
        return opened(run(CoreOperation.PollDevice(prompted.device)))
    }

    /** A session in the client's own name. */
    public suspend fun clientCredentials(request: SessionRequest): Session = opened(run(CoreOperation.ClientCredentials(request)))

    /** A session for a token of somebody else (RFC 8693). */
    public suspend fun tokenExchange(request: SessionRequest, exchange: ExchangeRequest): Session =
        opened(run(CoreOperation.TokenExchange(request, exchange)))

    /** A token of another type for a token, for example an assertion for another server. */
    public suspend fun exchangeFor(request: SessionRequest, exchange: ExchangeRequest): IssuedToken =
        expected<Outcome.TokenIssued>(run(CoreOperation.ExchangeFor(request, exchange))).token

    /** A session for an assertion (RFC 7523). */
    public suspend fun jwtBearer(request: SessionRequest, assertion: String): Session =
        opened(run(CoreOperation.JwtBearer(request, assertion)))

    /** Opens a stored session. With [boundTo], a thumbprint, only one that is bound to that key. */
    @JvmOverloads
    public suspend fun open(name: String, boundTo: String? = null): Session = opened(run(CoreOperation.Open(name, boundTo)))

    /** A session of a token that was obtained elsewhere and is bound to a key of this client's. */
    public suspend fun adopt(token: HeldToken): Session = opened(run(CoreOperation.Adopt(token)))

    /** Stores a provisional session, or the nonces that another one learned since it was stored. */
    public suspend fun keep(session: Session) {
        run(CoreOperation.Keep(session))
    }

    /** Renews the tokens now; calls do so by themselves when it is time. */
    public suspend fun refresh(session: Session) {
        run(CoreOperation.Refresh(session))
    }

    /**
     * Binds the session's tokens to a new key, which the key store is asked for, and deletes the old one unless it is shared.
     *
     * For client credentials and for clients with a secret or key of their own. Does nothing if the key store answers with the key that the
     * session has. Throws misuse for a public client: its refresh token works with its key alone (RFC 9449 section 5), so log in again for a
     * new key.
     */
    public suspend fun rekey(session: Session) {
        run(CoreOperation.Rekey(session))
    }

    /** Revokes the session's tokens (RFC 7009). */
    public suspend fun revoke(session: Session) {
        run(CoreOperation.Revoke(session))
    }

    /**
     * Logs out: revokes the session's tokens, and deletes it and its key.
     *
     * @return whether the tokens are revoked; not, where the server has no revocation
     */
    public suspend fun end(session: Session): Boolean = expected<Outcome.Ended>(run(CoreOperation.End(session))).revoked

    /** What the authorization server says of a token (RFC 7662): a JSON object. */
    public suspend fun introspect(discovered: Discovered, token: String): String =
        expected<Outcome.Claims>(run(CoreOperation.Introspect(discovered, token))).json

    /**
     * Sends a request with the session's token and a fresh proof: nonces, one retry and refresh included.
     *
     * The token goes to the origin of the session's resource and to those of `alsoOrigins`; redirects within the origin are followed with
     * a new proof, others are the answer. A body that can be sent once ([okhttp3.RequestBody.isOneShot]) is preceded by a `HEAD` request
     * where its server's nonce is not known. A request that was not sent (no connection) is sent up to twice more; one whose answer was lost is
     * not, whatever its method.
     *
     * @return the answer, whatever its status; [demand] says whether a login or more scope would help. Close it.
     * @throws KeyboundException.LoginRequired where only a new login helps
     * @throws IOException as OkHttp throws it
     */
    public suspend fun call(session: Session, request: Request): Response = call(session, request) { http.newCall(it).await() }

    internal suspend fun call(session: Session, request: Request, send: suspend (Request) -> Response): Response {
        val exchange = CallExchange(request, send)
        try {
            return answered(session, exchange)
        } catch (failure: Throwable) {
            exchange.forget()
            throw failure
        }
    }

    private suspend fun answered(session: Session, exchange: CallExchange): Response {
        val flow = core.begin(exchange.operation(session), clock.now())
        val answer = expected<Outcome.Answered>(drive(flow, host, exchange)).answer
        val demand = answer.demand
        val response = exchange.response
        if (response == null || demand is Demand.Resend) {
            val detail = "the server asks for the request once more, and its body could be sent once; make it anew"
            throw KeyboundException.Flow(Fault("resend", detail))
        }
        val ignored = answer.ignoredChallenge?.let(::IgnoredChallenge)
        if (demand == null && ignored == null) return response
        val marked = response.request.newBuilder().tag(Demand::class.java, demand).tag(IgnoredChallenge::class.java, ignored)
        return response.newBuilder().request(marked.build()).build()
    }

    /**
     * The request with the session's token and a proof, to be sent once and soon by other means, for example as a WebSocket handshake.
     *
     * [refused] is the answer to an earlier one: what it says of nonces and tokens is heeded. Null only with [refused]: if that asked for no
     * nonce, and no new token can be had, sending again would not help.
     */
    @JvmOverloads
    public suspend fun authorized(session: Session, request: Request, refused: Response? = null): Request? {
        var known = refused
        var authorized: Request? = null
        val own = CallExchange(request) { throw IllegalStateException("nothing is sent here") }
        val capture = Exchange { wanted ->
            val earlier = known ?: throw Captured().also { authorized = built(request.newBuilder(), wanted, request.body) }
            known = null
            HttpResponse(earlier.code, earlier.headers.map { (name, value) -> Header(name, value) }, ByteArray(0))
        }
        try {
            drive(core.begin(own.operation(session), clock.now()), host, capture)
        } catch (_: Captured) {
            // The flow has nothing more to say.
        } catch (failure: KeyboundException.Flow) {
            // Another call learned the nonce of this refusal meanwhile: a request made now carries it.
            if (refused == null || failure.fault.reason != "nonce_loop") throw failure
            return authorized(session, request)
        }
        return authorized
    }

    /**
     * Makes an `OkHttpClient` that calls with this session: [KeyboundInterceptor] is its last, and redirects are left to that. It has no
     * cache, cookies and authenticator, so that nothing of one account reaches another.
     *
     * @param builder of the client, with the interceptors of the application. It stays as it is
     */
    public fun install(builder: OkHttpClient.Builder, session: Session): OkHttpClient =
        builder.build().forSessions().newBuilder().addInterceptor(KeyboundInterceptor(this) { session }).build()

    /** Frees the core. Sessions stay usable by other clients. */
    override fun close(): Unit = core.close()

    public companion object {
        /** Begins a client, whose parts a builder takes by name: for Java. */
        @JvmStatic
        public fun builder(options: ClientOptions): Builder = Builder(options)
    }

    /** Builds a [KeyboundClient] from what differs from the default, for Java. */
    public class Builder internal constructor(private val options: ClientOptions) {
        private var keys: ProofKeyStore = SoftwareKeys()
        private var sessions: SessionStore = MemorySessions()
        private var http = ownHttpClient()
        private var clock = Clock.SYSTEM

        /** Where its keys live. */
        public fun keys(keys: ProofKeyStore): Builder = apply { this.keys = keys }

        /** Where its sessions live. */
        public fun sessions(sessions: SessionStore): Builder = apply { this.sessions = sessions }

        /** Where both live. */
        public fun store(store: FileStore): Builder = keys(store).sessions(store)

        /** Sends its requests. */
        public fun http(http: OkHttpClient): Builder = apply { this.http = http }

        /** The time by which proofs are made. */
        public fun clock(clock: Clock): Builder = apply { this.clock = clock }

        /**
         * Makes it.
         *
         * @throws KeyboundException.Misuse if an option cannot be used
         */
        @Throws(KeyboundException::class)
        public fun build(): KeyboundClient = KeyboundClient(options, keys, sessions, http, clock)

        /**
         * Makes it, with futures for its operations. Close these, and then their client.
         *
         * @throws KeyboundException.Misuse if an option cannot be used
         */
        @Throws(KeyboundException::class)
        public fun buildFutures(): KeyboundFutures = KeyboundFutures(build())
    }

    private suspend fun run(operation: CoreOperation): Outcome {
        val flow = core.begin(operation, clock.now())
        host.sweeper?.sweepIfDue()
        return drive(flow, host)
    }

    private fun found(outcome: Outcome): Discovered = expected<Outcome.Found>(outcome).discovered

    private fun begun(outcome: Outcome): Authorization = expected<Outcome.LoginBegun>(outcome).authorization

    private fun opened(outcome: Outcome): Session = expected<Outcome.Opened>(outcome).session

    private inline fun <reified T : Outcome> expected(outcome: Outcome): T =
        outcome as? T ?: error("the flow came to another end than ${T::class.simpleName}")

    /** Ends a flow whose request was made. */
    private class Captured : kotlinx.coroutines.CancellationException("the request is made")
}
