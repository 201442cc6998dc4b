package dev.keybound

import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.add
import kotlinx.serialization.json.buildJsonArray
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.put
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import java.io.IOException
import java.net.ConnectException
import java.net.URLDecoder
import java.security.MessageDigest
import java.util.Base64

/** The names of random values, in the order they were first seen. */
class Names {
    private val known = mutableListOf<Pair<String, String>>()

    private fun next(kind: String) = "{$kind-${known.count { it.second.startsWith("{$kind-") } + 1}}"

    fun key(thumbprint: String) {
        known += thumbprint to next("key")
    }

    fun name(kind: String, value: String): String =
        known.firstOrNull { it.first == value }?.second ?: next(kind).also { known += value to it }

    fun hide(text: String): String = known.fold(text) { shown, (value, name) -> shown.replace(value, name) }

    fun show(text: String, kind: String = ""): String =
        known.filter { it.second.startsWith("{$kind") }.fold(text) { shown, (value, name) -> shown.replace(name, value) }

    /** The parameters of a form or query. */
    fun form(text: String): JsonObject = buildJsonObject {
        val seen = mutableSetOf<String>()
        for (pair in text.split("&").filter { it.isNotEmpty() }) {
            val (name, value) = pair.split("=", limit = 2).map { URLDecoder.decode(it, Charsets.UTF_8) }
            assertTrue(seen.add(name), "$name twice")
            when (name) {
                "state", "code_challenge", "code_verifier" -> put(name, name(name, value))
                "client_assertion" -> put(name, assertion(value))
                "authorization_details" -> put(name, Json.parseToJsonElement(value))
                else -> put(name, hide(value))
            }
        }
    }

    private fun assertion(text: String) = buildJsonObject {
        put("header", part(text, 0))
        val claims = part(text, 1)
        put("claims", JsonObject(claims + ("jti" to JsonPrimitive(name("assertion", claims.text("jti")!!)))))
    }

    fun request(request: HttpRequest): JsonObject = buildJsonObject {
        put("method", request.method)
        put("url", request.url)
        val token = request.headers.firstOrNull { it.name.equals("authorization", true) }?.value
        val fields = linkedMapOf<String, JsonElement>()
        for ((name, value) in request.headers.map { it.name to it.value }) {
            if (name.equals("dpop", true)) {
                put("proof", proof(value, token?.takeIf { it.startsWith("DPoP ") }?.removePrefix("DPoP ")))
            } else {
                assertTrue(fields.put(name.lowercase(), JsonPrimitive(hide(value))) == null, "a field twice")
            }
        }
        put("fields", JsonObject(fields))
        when (val body = request.body) {
            is HttpBody.Bytes -> {
                val text = body.content.decodeToString()
                if (fields["content-type"]?.jsonPrimitive?.content == "application/json") put("json", Json.parseToJsonElement(text)) else put("form", form(text))
            }
            is HttpBody.Repeatable -> put("body", "repeatable")
            is HttpBody.OneShot -> put("body", "one_shot")
            is HttpBody.Empty -> Unit
        }
    }

    private fun proof(text: String, token: String?): JsonObject {
        val (header, claims) = part(text, 0) to part(text, 1)
        val hash = token?.let { Base64.getUrlEncoder().withoutPadding().encodeToString(MessageDigest.getInstance("SHA-256").digest(it.toByteArray())) }
        assertEquals(hash, claims.text("ath"), "the hash of the token")
        return buildJsonObject {
            put("key", hide(thumbprint(header["jwk"].toString())))
            put("alg", header.getValue("alg"))
            put("jti", name("jti", claims.text("jti")!!))
            (claims - "ath" - "jti").forEach { (name, value) -> put(name, value) }
        }
    }
}

/** Plays a transcript back: the same operations with the written answers give the same steps and outcomes. */
class FlowPlayer(private val vector: JsonObject) : ProofKeyStore, SessionStore, Exchange {
    private val names = Names()
    private val config = vector.getValue("client").jsonObject
    private val protection = Protection.valueOf((config.text("protection") ?: "software").uppercase())
    private val isRing = config.flag("ring")
    private var active: Key? = null
    private val keys = HashMap<String, Key>()
    private val slots = HashMap<String, StoredValue>()
    private val held = HashSet<String>()
    private var now = vector.number("begin")!!.toLong()
    private val steps = mutableListOf<JsonElement>()
    private val answers = ArrayDeque<JsonElement>()
    private val host = Host(this, this, this, { now }) { milliseconds ->
        val seconds = milliseconds / 1000
        note("wait") { if (seconds == 0L) put("below", 1) else put("seconds", seconds) }
        now += seconds
    }
    private val client = CoreClient(options())
    private val sessions = HashMap<String, Session>()
    private var discovered: Discovered? = null
    private var device: DeviceLogin? = null

    private fun note(step: String, rest: kotlinx.serialization.json.JsonObjectBuilder.() -> Unit) {
        steps += buildJsonObject {
            put("step", step)
            rest()
        }
    }

    private fun newKey(algorithms: List<String>): Key {
        val key = Key.generate(listOf("ES256", "Ed25519").first { it in algorithms })
        names.key(key.thumbprint())
        keys[key.thumbprint()] = key
        return key
    }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey {
        note("create_key") {
            put("algorithms", buildJsonArray { algorithms.forEach { add(it) } })
            put("protections", buildJsonArray { protections.forEach { add(it.name.lowercase()) } })
        }
        val key = active ?: newKey(algorithms)
        active = key.takeIf { isRing }
        return CreatedKey(key.publicJwk(), key.algorithm(), protection, isRing)
    }

    override suspend fun sign(request: SigningRequest): EncodedSignature {
        note("sign") {
            put("key", names.hide(request.thumbprint))
            put("for", request.purpose.name.lowercase().replace("_", ""))
        }
        val key = keys[request.thumbprint] ?: throw KeyFaultException.Missing()
        return EncodedSignature(key.sign(request.message), SignatureEncoding.RAW)
    }

    override suspend fun deleteKey(thumbprint: String) {
        note("delete_key") { put("key", names.hide(thumbprint)) }
        keys.remove(thumbprint)
    }

    override suspend fun load(slot: String): StoredValue? {
        note("load") { put("slot", names.hide(slot)) }
        return slots[slot]
    }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean {
        val shown = if (slot.startsWith("login/")) "login/" + names.name("state", slot.substring(6)) else slot
        note("save") {
            put("slot", shown)
            put("action", if (value == null) "delete" else "store")
            put("new", expected == null)
        }
        if (slots[slot]?.version != expected) return false
        if (value == null) slots.remove(slot) else slots[slot] = StoredValue(version, value)
        return true
    }

    override suspend fun lock(name: String, lease: Long): StoreLock {
        note("lock") {
            put("lock", names.hide(name))
            put("lease", lease)
        }
        assertTrue(held.add(name), "$name is locked twice")
        return StoreLock {
            note("unlock") { put("lock", names.hide(name)) }
            assertTrue(held.remove(name))
        }
    }

    override suspend fun send(request: HttpRequest): HttpResponse {
        note("fetch") { put("request", names.request(request)) }
        assertFalse(answers.isEmpty(), "the transcript has no further answer")
        val given = answers.removeFirst()
        val answer = given as? JsonObject ?: throw if (given == JsonNull) IOException("connection reset") else ConnectException("connection refused")
        val body = when (val given = answer["body"]) {
            null -> ""
            is JsonPrimitive -> given.content
            else -> names.show(given.toString(), "key-")
        }
        val fields = (answer["fields"] as? JsonObject).orEmpty().flatMap { (name, value) ->
            (value as? JsonArray ?: listOf(value)).map { Header(name, names.show(it.jsonPrimitive.content, "key-")) }
        }
        return HttpResponse(answer.number("status")!!.toInt(), fields, body.toByteArray())
    }

    private fun options(): ClientOptions {
        val known = setOf(
            "level", "redirect_uri", "credentials", "metadata_document", "register", "accept_issuers", "entra_tenant", "servers", "also_origins", "algorithms",
            "hardware_keys", "allow_loopback", "push_with_proof", "danger_assume_pkce", "danger_assume_endpoints", "danger_accept_bearer",
            "protection", "ring",
        )
        assertEquals(emptySet<String>(), config.keys - known, "every option is carried over")
        fun texts(name: String) = (config[name] as? JsonArray)?.map { it.jsonPrimitive.content }
        return ClientOptions(
            level = SecurityLevel.valueOf(config.text("level")!!.uppercase()),
            redirectUri = config.text("redirect_uri"),
            credentials = (config["credentials"] as? JsonArray).orEmpty().map { credentials(it.jsonObject) },
            metadataDocument = config.text("metadata_document"),
            register = config["register"]?.toString(),
            acceptIssuers = texts("accept_issuers").orEmpty(),
            entraTenant = config.text("entra_tenant"),
            servers = (config["servers"] as? JsonArray).orEmpty().map { it.toString() },
            alsoOrigins = texts("also_origins").orEmpty(),
            algorithms = texts("algorithms"),
            hardwareKeys = config.flag("hardware_keys"),
            allowLoopback = config.flag("allow_loopback"),
            pushWithProof = config.flag("push_with_proof"),
            dangerAssumePkce = config.flag("danger_assume_pkce"),
            dangerAssumeEndpoints = config.flag("danger_assume_endpoints"),
            dangerAcceptBearer = config.flag("danger_accept_bearer"),
        )
    }

    private fun credentials(given: JsonObject): Credentials {
        val key = if (given.text("method") == "private_key_jwt") newKey(listOf("ES256")) else null
        return Credentials(
            given.text("issuer")!!, given.text("client_id")!!, given.text("method"), given.text("secret"),
            key?.publicJwk(), key?.algorithm(), key?.let { "client-key" },
        )
    }

    /** Does one operation, and compares every step and the outcome. */
    fun play() {
        for (turn in vector.getValue("flow").jsonArray.map { it.jsonObject }) {
            val operation = turn.getValue("operation").jsonObject
            val written = turn.getValue("steps").jsonArray.map { it.jsonObject }
            steps.clear()
            answers.clear()
            answers += written.filter { it.text("step") == "fetch" }.map { it.getValue("answer") }
            val outcome = try {
                runBlocking { perform(operation) }
            } catch (error: KeyboundException) {
                buildJsonObject { put("error", error.reason) }
            } catch (_: IOException) {
                // The network's own exception comes out as it is; the core calls it the host's.
                buildJsonObject { put("error", "host") }
            }
            val expected = written.map { JsonObject(it - "answer") }
            assertEquals(expected.joinToString("\n"), steps.take(expected.size).joinToString("\n") { sameOrder(it, expected) }, "$operation")
            // Locks that a failed flow held are given back without a step of the core.
            assertTrue(steps.drop(expected.size).all { it.jsonObject.text("step") == "unlock" }, "$steps")
            assertEquals(turn["outcome"], outcome, "$operation")
            assertTrue(held.isEmpty() && answers.isEmpty(), "no lock is held, and every answer was asked for")
        }
    }

    /** The step as one of the expected ones prints it, if they are equal whatever the order of their members. */
    private fun sameOrder(step: JsonElement, expected: List<JsonElement>) = (expected.firstOrNull { it == step } ?: step).toString()

    private suspend fun perform(given: JsonObject): JsonObject {
        val what = given.text("do")!!
        if (what == "wait") {
            now += given.number("seconds")!!.toLong()
            return JsonObject(emptyMap())
        }
        if (what == "rotate") {
            active = null
            return JsonObject(emptyMap())
        }
        val session = given.text("session")?.let { sessions[it] }
        if (what == "look") return looked(session!!, given["members"]?.jsonArray.orEmpty().map { it.jsonPrimitive.content })
        val outcome = drive(client.begin(operation(what, given, session), now), host)
        return shown(what, outcome, session)
    }

    private fun operation(what: String, given: JsonObject, session: Session?): CoreOperation = when (what) {
        "discover" -> {
            val challenges = given["challenges"]?.jsonArray?.map { it.jsonPrimitive.content }
            CoreOperation.Discover(given.text("target")!!, challenges, given.text("issuer"))
        }
        "discover_issuer" -> CoreOperation.DiscoverIssuer(given.text("issuer")!!)
        "authorize" -> CoreOperation.Authorize(request(given, session))
        "step_up" -> CoreOperation.StepUp(session!!, given.text("scope")!!)
        "exchange" -> CoreOperation.Exchange(names.show(given.text("callback")!!))
        "client_credentials" -> CoreOperation.ClientCredentials(request(given, session))
        "token_exchange" -> CoreOperation.TokenExchange(request(given, session), exchanged(given))
        "exchange_for" -> CoreOperation.ExchangeFor(request(given, session), exchanged(given))
        "jwt_bearer" -> CoreOperation.JwtBearer(request(given, session), given.text("assertion")!!)
        "device" -> CoreOperation.Device(request(given, session))
        "poll_device" -> CoreOperation.PollDevice(device!!)
        "open" -> CoreOperation.Open(given.text("session")!!, given.text("bound_to"))
        "keep" -> CoreOperation.Keep(session!!)
        "refresh" -> CoreOperation.Refresh(session!!)
        "rekey" -> CoreOperation.Rekey(session!!)
        "revoke" -> CoreOperation.Revoke(session!!)
        "end" -> CoreOperation.End(session!!)
        "introspect" -> CoreOperation.Introspect(discovered!!, session!!.dangerAccessToken()!!)
        "call" -> CoreOperation.Call(session!!, called(given))
        else -> throw AssertionError("the transcript has an operation that this player does not know: $what")
    }

    private fun called(given: JsonObject) = CallRequest(
        given.text("method") ?: "GET",
        given.text("url")!!,
        given["headers"]?.jsonArray.orEmpty().map { it.jsonArray.map { part -> part.jsonPrimitive.content } }.map { (name, value) -> Header(name, value) },
        CallBody.valueOf((given.text("body") ?: "empty").uppercase()),
    )

    private fun exchanged(given: JsonObject) = ExchangeRequest(
        given.text("subject_token")!!, given.text("subject_token_type")!!, given.text("actor_token"), given.text("actor_token_type"),
        given.text("requested_token_type"), given.text("audience"),
    )

    private fun request(given: JsonObject, session: Session?): SessionRequest {
        val known = setOf(
            "do", "session", "again", "scope", "resource", "level", "authorization_details", "intent", "intent_lifetime", "offline_access",
            "parameters", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type", "audience",
            "assertion", "expect_subject", "provisional", "without_pushed_request", "without_resource", "scope_on_refresh",
            "danger_assume_pkce",
        )
        assertEquals(emptySet<String>(), given.keys - known, "every argument is carried over")
        val again = given.flag("again") && session != null
        return SessionRequest(
            begin = if (again) SessionStart.Again(session) else SessionStart.New(given.text("session")!!, discovered!!),
            scope = given.text("scope"),
            resource = given.text("resource"),
            level = given.text("level")?.let { SecurityLevel.valueOf(it.uppercase()) },
            authorizationDetails = given["authorization_details"]?.toString(),
            intent = given["intent"]?.toString(),
            intentLifetime = given.number("intent_lifetime")?.toLong(),
            offlineAccess = given.flag("offline_access"),
            parameters = (given["parameters"] as? JsonObject).orEmpty().mapValues { it.value.jsonPrimitive.content },
            expectSubject = given.text("expect_subject"),
            provisional = given.flag("provisional"),
            withoutPushedRequest = given.flag("without_pushed_request"),
            withoutResource = given.flag("without_resource"),
            scopeOnRefresh = given.flag("scope_on_refresh"),
            dangerAssumePkce = given.flag("danger_assume_pkce"),
        )
    }

    private fun shown(what: String, outcome: Outcome, session: Session?): JsonObject = when (outcome) {
        is Outcome.Found -> {
            discovered = outcome.discovered
            buildJsonObject {
                put("issuer", outcome.discovered.issuer())
                put("resource", outcome.discovered.resource())
            }
        }
        is Outcome.LoginBegun -> buildJsonObject {
            put("url", outcome.authorization.url.substringBefore('?'))
            put("query", names.form(outcome.authorization.url.substringAfter('?')))
            put("pushed", outcome.authorization.pushed)
        }
        is Outcome.Opened -> {
            sessions[outcome.session.info().name] = outcome.session
            shown(outcome.session)
        }
        is Outcome.DevicePrompted -> {
            device = outcome.device
            buildJsonObject {
                put("user_code", outcome.prompt.userCode)
                put("verification_uri", outcome.prompt.verificationUri)
            }
        }
        is Outcome.TokenIssued -> buildJsonObject {
            put("token", outcome.token.token)
            put("token_type", outcome.token.tokenType)
        }
        is Outcome.Claims -> Json.parseToJsonElement(names.hide(outcome.json)).jsonObject
        is Outcome.Answered -> buildJsonObject {
            put("status", outcome.answer.status)
            put("url", outcome.answer.url)
            put("demand", when (val demand = outcome.answer.demand) {
                null -> JsonNull
                is Demand.StepUp -> buildJsonObject { put("step_up", demand.scope) }
                is Demand.Login -> JsonPrimitive("login")
                is Demand.Resend -> JsonPrimitive("resend")
            })
            if (outcome.answer.ignoredChallenge != null) put("ignored_challenge", true)
        }
        is Outcome.Ended -> buildJsonObject { put("revoked", outcome.revoked) }
        is Outcome.Nothing -> if (what in setOf("refresh", "rekey") && session != null) shown(session) else JsonObject(emptyMap())
    }

    private fun looked(session: Session, members: List<String>): JsonObject = buildJsonObject {
        put("subject", session.info().subject?.let { subject ->
            buildJsonObject {
                put("issuer", subject.issuer)
                put("sub", subject.sub)
            }
        } ?: JsonNull)
        put("members", buildJsonObject { members.forEach { put(it, session.member(it)) } })
    }

    private fun shown(session: Session): JsonObject = session.info().let { info ->
        buildJsonObject {
            put("session", info.name)
            put("level", info.level.name.lowercase())
            put("issuer", info.issuer)
            put("resource", info.resource)
            put("scope", info.scope)
            put("key", info.thumbprint?.let(names::hide))
            put("access_token", session.dangerAccessToken())
            put("expires_at", info.expiresAt)
        }
    }
}
