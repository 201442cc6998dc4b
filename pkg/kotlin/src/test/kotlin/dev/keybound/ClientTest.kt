package dev.keybound

import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import okhttp3.MediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.toRequestBody
import okio.BufferedSink
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.IOException
import java.net.ServerSocket
import java.security.KeyPairGenerator
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.Base64
import kotlin.concurrent.thread

/** The client against `keybound serve`. */
class ClientTest {
    @Test
    fun `login, calls, a nonce that is demanded each time, refresh, logout`() = runBlocking<Unit> {
        Served("--fault", "new-nonce-each-call").use { served ->
            val wire = Counting()
            val client = KeyboundClient(served.options(), http = OkHttpClient.Builder().addInterceptor(wire).build())
            val session = client.login(served)
            val info = session.info()
            assertEquals(listOf("work", served.issuer, served.resource), listOf(info.name, info.issuer, info.resource))
            assertTrue(info.bound && !info.ended)
            client.call(session, get(served.resource)).use { answer ->
                assertEquals(200, answer.code)
                assertTrue("\"method\":\"GET\"" in answer.body!!.string())
            }
            val before = wire.count("GET /api")
            client.call(session, get(served.resource)).use { assertEquals(200, it.code) }
            assertEquals(before + 1, wire.count("GET /api"), "a nonce that is known costs no second request")
            val token = session.dangerAccessToken()
            client.refresh(session)
            assertNotEquals(token, session.dangerAccessToken())
            client.call(session, get("${served.resource}/x?y=z#part")).use { assertEquals(200, it.code) }
            assertTrue(wire.seen.none { it.header("Authorization")?.startsWith("Bearer") == true }, "never a bearer token")
            client.end(session)
            assertTrue(session.info().ended)
            assertThrows(KeyboundException.LoginRequired::class.java) { runBlocking { client.call(session, get(served.resource)) } }
        }
    }

    @Test
    fun `a request that is sent twice is refused as a replay`() = runBlocking<Unit> {
        Served().use { served ->
            val wire = Counting()
            val client = KeyboundClient(served.options(), http = OkHttpClient.Builder().addInterceptor(wire).build())
            val session = client.login(served)
            client.call(session, get(served.resource)).close()
            val stolen = wire.seen.last { it.header("DPoP") != null && it.url.toString() == served.resource }
            OkHttpClient().newCall(stolen).execute().use { answer ->
                assertEquals(401, answer.code)
                val advice = explainResponse(RefusedResponse(answer.code, answer.headers.map { (name, value) -> Header(name, value) }))
                assertEquals("invalid_dpop_proof", advice.error)
                assertEquals("replayed", advice.reason)
            }
        }
    }

    @Test
    fun `bodies, in memory and once`() = runBlocking<Unit> {
        Served().use { served ->
            val wire = Counting()
            val client = KeyboundClient(served.options(), http = OkHttpClient.Builder().addInterceptor(wire).build())
            val session = client.login(served)
            val once = object : RequestBody() {
                override fun contentType(): MediaType? = null
                override fun isOneShot() = true
                override fun writeTo(sink: BufferedSink) {
                    sink.writeUtf8("a part")
                }
            }
            val put = Request.Builder().url(served.resource).put(once).build()
            client.call(session, put).use { assertEquals(200, it.code) }
            assertEquals(1, wire.count("HEAD /api"), "the nonce was asked for before")
            val post = Request.Builder().url(served.resource).post("text".toRequestBody()).build()
            client.call(session, post).use { assertEquals(200, it.code) }
            val purge = Request.Builder().url(served.resource).method("PROPFIND", null).build()
            client.call(session, purge).use { assertTrue("\"method\":\"PROPFIND\"" in it.body!!.string()) }
        }
    }

    @Test
    fun `many calls and refreshes at a time, and one redemption`() = runBlocking<Unit> {
        Served().use { served ->
            val wire = Counting()
            val client = KeyboundClient(served.options(), http = OkHttpClient.Builder().addInterceptor(wire).build())
            val session = client.login(served)
            val tokens = wire.count("POST /token")
            withContext(Dispatchers.IO) { List(6) { async { client.refresh(session) } }.awaitAll() }
            // Each was asked for; whoever waited found it done. One request more may answer a demand for a nonce.
            val redemptions = wire.count("POST /token") - tokens
            assertTrue(redemptions in 1..2, "$redemptions requests for tokens")
            val codes = withContext(Dispatchers.IO) {
                List(12) { async { client.call(session, get(served.resource)).use { it.code } } }.awaitAll()
            }
            assertEquals(List(12) { 200 }, codes)
        }
    }

    @Test
    fun `a cancelled coroutine does not lose a renewed token`() = runBlocking<Unit> {
        Served("--fault", "slow=400").use { served ->
            val store = MemorySessions()
            val keys = SoftwareKeys()
            val client = KeyboundClient(served.options(), keys, store)
            val session = client.login(served)
            val token = session.dangerAccessToken()
            val refresh = async(Dispatchers.IO) { client.refresh(session) }
            kotlinx.coroutines.delay(150)
            refresh.cancel()
            refresh.join()
            // Whether the request was on its way or not: the session that is stored works, and so does its next renewal.
            val again = KeyboundClient(served.options(), keys, store)
            val opened = again.open("work")
            assertNotEquals(token, opened.dangerAccessToken(), "the renewal that was under way was stored")
            again.refresh(opened)
            again.call(opened, get(served.resource)).use { assertEquals(200, it.code) }
        }
    }

    @Test
    fun `paths are proved as OkHttp sends them`() = runBlocking<Unit> {
        Served().use { served ->
            val client = KeyboundClient(served.options())
            val session = client.login(served)
            for (path in listOf("/a%2Fb", "/%7Ealice", "/a;b=c", "/ä", "//double", "/a|b")) {
                client.call(session, get(served.resource + path)).use { assertEquals(200, it.code, path) }
            }
        }
    }

    @Test
    fun `a cancelled call ends at once`() = runBlocking<Unit> {
        Served("--fault", "slow=3000", "--no-nonces").use { served ->
            val client = KeyboundClient(served.options())
            val discovery = async(Dispatchers.IO) { client.discover(served.resource) }
            kotlinx.coroutines.delay(100)
            val began = System.nanoTime()
            discovery.cancel()
            discovery.join()
            assertTrue(System.nanoTime() - began < 2_000_000_000)
        }
    }

    @Test
    fun `the interceptor and the authenticator`() = runBlocking<Unit> {
        Served("--fault", "new-nonce-each-call").use { served ->
            val client = KeyboundClient(served.options())
            val session = client.login(served)
            val http = client.install(OkHttpClient.Builder(), session)
            repeat(2) { http.newCall(get(served.resource)).execute().use { assertEquals(200, it.code) } }
            assertThrows(KeyboundIOException::class.java) { http.newCall(get("https://elsewhere.example/")).execute() }

            val lazily = OkHttpClient.Builder().followRedirects(false).authenticator(KeyboundAuthenticator(client) { session }).build()
            repeat(2) { lazily.newCall(get(served.resource)).execute().use { assertEquals(200, it.code) } }
            val nobody = OkHttpClient.Builder().followRedirects(false).retryOnConnectionFailure(false).addInterceptor(KeyboundInterceptor(client) { null }).build()
            val error = assertThrows(KeyboundIOException::class.java) { nobody.newCall(get(served.resource)).execute() }
            assertTrue(error.error is KeyboundException.LoginRequired)
        }
    }

    @Test
    fun `other programs' requests are authorized`() = runBlocking<Unit> {
        Served().use { served ->
            val client = KeyboundClient(served.options())
            val session = client.login(served)
            var request = client.authorized(session, get(served.resource))!!
            var answer = OkHttpClient().newCall(request).execute()
            if (answer.code == 401) {
                request = client.authorized(session, get(served.resource), answer)!!
                answer.close()
                answer = OkHttpClient().newCall(request).execute()
            }
            assertEquals(200, answer.use { it.code })
        }
    }

    @Test
    fun `a signer that gives DER, as hardware does`() = runBlocking<Unit> {
        Served().use { served ->
            val keys = SignerKeys { algorithms, protections ->
                assertTrue("ES256" in algorithms && Protection.SECURE_ENCLAVE in protections)
                JavaSigner()
            }
            val client = KeyboundClient(served.options(), keys)
            val session = client.login(served)
            client.call(session, get(served.resource)).use { assertEquals(200, it.code) }
            val signer = JavaSigner()
            val made = proof("GET", "https://api.example.com/items", signer, "token")
            val options = VerifierOptions()
            val presented = PresentedProof.atResource("GET", "https://api.example.com/items", listOf(made), "token", thumbprint(signer.publicJwk))
            val now = System.currentTimeMillis() / 1000
            MemoryReplayStore(options, now = now - 3600).use { store -> Verifier(options).verify(presented, store, now) }
        }
    }

    @Test
    fun `keys that are missing, changed or unreadable are told apart`() = runBlocking<Unit> {
        Served().use { served ->
            var fault: KeyFaultException? = null
            val inner = SoftwareKeys()
            val keys = object : ProofKeyStore by inner {
                override suspend fun sign(request: SigningRequest): EncodedSignature = fault?.let { throw it } ?: inner.sign(request)
            }
            val client = KeyboundClient(served.options(), keys)
            val session = client.login(served)
            fault = KeyFaultException.Unreadable("the device is locked")
            assertThrows(KeyFaultException.Unreadable::class.java) { runBlocking { client.call(session, get(served.resource)) } }
            fault = null
            client.call(session, get(served.resource)).use { assertEquals(200, it.code, "the session stays") }
            for ((kind, reason) in listOf(KeyFaultException.Missing() to "key_missing", KeyFaultException.Changed() to "key_changed")) {
                fault = kind
                val error = assertThrows(KeyboundException.LoginRequired::class.java) { runBlocking { client.call(session, get(served.resource)) } }
                assertEquals(reason, error.reason)
                // Coroutines may have copied it on its way.
                assertEquals(kind.javaClass, error.cause?.javaClass)
            }
        }
    }

    @Test
    fun `device login, client credentials, more scope`() = runBlocking<Unit> {
        Served().use { served ->
            val client = KeyboundClient(served.options())
            val session = client.login(served, scope = "read")
            val discovered = client.discover(served.resource)
            var prompt: DevicePrompt? = null
            val device = client.device(SessionRequest(SessionStart.New("tv", discovered))) { prompt = it }
            assertTrue(prompt!!.verificationUri.startsWith(served.issuer))
            client.call(device, get(served.resource)).use { assertEquals(200, it.code) }
            client.call(session, get("${served.resource}/write")).use { refused ->
                assertEquals(403, refused.code)
                val demand = refused.demand as Demand.StepUp
                assertTrue("write" in demand.scope.split(" "))
                assertTrue(client.stepUp(session, demand.scope).url.startsWith(served.issuer))
            }
            val credentials = listOf(Credentials(served.issuer, "keybound-service", "secret", served.secret))
            val service = KeyboundClient(ClientOptions(SecurityLevel.ENHANCED, credentials = credentials, allowLoopback = true))
            val own = service.clientCredentials(SessionRequest(SessionStart.New("own", service.discover(served.resource))))
            service.call(own, get(served.resource)).use { assertEquals(200, it.code) }
            assertTrue("\"active\":true" in service.introspect(service.discoverIssuer(served.issuer), own.dangerAccessToken()!!))
        }
    }

    @Test
    fun `two accounts have nothing in common`() = runBlocking<Unit> {
        Served().use { served ->
            val client = KeyboundClient(served.options())
            val (one, other) = client.login(served, "one") to client.login(served, "other")
            assertNotEquals(one.info().thumbprint, other.info().thumbprint)
            client.end(one)
            client.call(other, get(served.resource)).use { assertEquals(200, it.code) }
        }
    }

    @Test
    fun `servers that do wrong`() = runBlocking<Unit> {
        for ((fault, reason) in listOf("wrong-iss" to "iss_mismatch", "bearer-token-type" to "token_not_bound")) {
            Served("--fault", fault).use { served ->
                val error = assertThrows(KeyboundException.Flow::class.java) { runBlocking { KeyboundClient(served.options()).login(served) } }
                assertEquals(reason, error.reason)
                assertEquals(error.fault.detail, error.message)
            }
        }
        val skewed = Served("--fault", "clock-skew=3000", "--no-nonces")
        val client = KeyboundClient(skewed.options())
        val session = client.login(skewed)
        client.call(session, get(skewed.resource)).use { assertEquals(200, it.code) }
        skewed.close()
        assertThrows(IOException::class.java) { runBlocking { client.call(session, get(skewed.resource)) } }
    }

    @Test
    fun `a redirect away carries no token, whatever the OkHttpClient does`() = runBlocking<Unit> {
        ServerSocket(0, 10, java.net.InetAddress.getLoopbackAddress()).use { thief ->
            val stolen = mutableListOf<String>()
            thread(isDaemon = true) {
                while (!thief.isClosed) {
                    val socket = runCatching { thief.accept() }.getOrNull() ?: break
                    val lines = socket.getInputStream().bufferedReader()
                    generateSequence { lines.readLine()?.takeIf { it.isNotEmpty() } }.forEach { synchronized(stolen) { stolen += it } }
                    socket.getOutputStream().write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".toByteArray())
                    socket.close()
                }
            }
            Served().use { served ->
                val away = "http://127.0.0.1:${thief.localPort}/"
                val redirecting = OkHttpClient.Builder().addInterceptor { chain ->
                    val answer = chain.proceed(chain.request())
                    if (chain.request().url.encodedPath != "/api/away") return@addInterceptor answer
                    answer.newBuilder().code(302).header("Location", away).build()
                }
                val client = KeyboundClient(served.options(), http = redirecting.build())
                val session = client.login(served)
                client.call(session, get("${served.resource}/away")).use { assertEquals(302, it.code) }
                assertTrue(synchronized(stolen) { stolen.isEmpty() }, "$stolen")
            }
        }
    }

    @Test
    fun `nothing secret is shown`() = runBlocking<Unit> {
        Served().use { served ->
            val client = KeyboundClient(served.options())
            val session = client.login(served)
            val token = session.dangerAccessToken()!!
            val shown = listOf(
                session, session.info(), StoredValue(1, token), HttpRequest("GET", "https://a.example", listOf(Header("a", token)), HttpBody.Bytes(token.toByteArray()), null, null),
                PresentedProof.atResource("GET", "https://a.example", listOf(token), token, "t"), Credentials("i", "c", "secret", token), NonceKey(1, token),
                Reply.Loaded(StoredValue(1, token)), HeldToken("s", token, "r", "{}", "ES256"), IssuedToken(token, "x", null),
                Step.Save("session/a", null, 1, token), HttpResponse(200, listOf(Header("a", token)), token.toByteArray()),
                CallRequest("GET", "https://a.example", listOf(Header("a", token)), CallBody.EMPTY), ExchangeRequest(token, "t"),
                CoreOperation.Introspect(client.discoverIssuer(served.issuer), token),
            )
            for (one in shown) assertFalse(token in one.toString(), one.javaClass.simpleName)
            assertNull(session.info().authorizationDetails)
        }
    }
}

/** A key of Java's, which signs in DER as Android's Keystore does. */
class JavaSigner : ProofSigner {
    private val pair = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }.generateKeyPair()
    override val algorithm = "ES256"
    override val protection = Protection.SOFTWARE
    override val publicJwk: String = (pair.public as ECPublicKey).w.let { point ->
        fun coordinate(value: java.math.BigInteger): String {
            val bytes = value.toByteArray().takeLast(32).toByteArray()
            return Base64.getUrlEncoder().withoutPadding().encodeToString(ByteArray(32 - bytes.size) + bytes)
        }
        """{"kty":"EC","crv":"P-256","x":"${coordinate(point.affineX)}","y":"${coordinate(point.affineY)}"}"""
    }

    override suspend fun sign(request: SigningRequest): EncodedSignature {
        val signer = java.security.Signature.getInstance("SHA256withECDSA").apply { initSign(pair.private) }
        signer.update(request.message)
        return EncodedSignature(signer.sign(), SignatureEncoding.DER)
    }
}
