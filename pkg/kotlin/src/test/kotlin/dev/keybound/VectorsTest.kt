package dev.keybound

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory

/** Every vector has its outcome, in a narrow and in a wide window (tests/vectors/README.md). */
class VectorsTest {
    private data class Window(val maxAge: Long, val maxAhead: Long)

    private val narrow = Window(60, 10)
    private val wide = Window(300, 60)
    private val nobody = "A".repeat(43)

    /** All that this build can verify: the text of a mistake lists the names. */
    private val all: List<String> = run {
        val told = assertThrows(KeyboundException.Misuse::class.java) { Verifier(VerifierOptions(algorithms = listOf("none"))) }
        told.fault.detail.substringAfter("there are: ").split(", ").filter { name ->
            runCatching { Verifier(VerifierOptions(algorithms = listOf(name))) }.isSuccess
        }
    }

    private fun segment(proof: String?, at: Int): JsonObject = runCatching { part(proof!!, at) }.getOrElse { JsonObject(emptyMap()) }

    private fun thumbprintOf(proofs: List<String>): String? =
        runCatching { thumbprint(segment(proofs.firstOrNull(), 0)["jwk"].toString()) }.getOrNull()

    /** Presents an entry; what it leaves out is taken from the proof itself, since that is not what it tests. */
    private fun present(entry: JsonObject, window: Window): String {
        val allowed = (entry["allowed_algs"] as? JsonArray)?.map { it.jsonPrimitive.content }
        val algorithms = if (allowed == null) all else all.filter { it in allowed }
        if (algorithms.isEmpty()) return "alg_not_permitted"
        val proofs = when (val given = entry["proof"]) {
            is JsonArray -> given.map { it.jsonPrimitive.content }
            is JsonPrimitive -> listOfNotNull(given.contentOrNull)
            else -> emptyList()
        }
        val claims = segment(proofs.firstOrNull(), 1)
        val now = (entry.number("now") ?: claims.number("iat"))?.toLong() ?: (System.currentTimeMillis() / 1000)
        val issuer = entry["nonce_issuer"] as? JsonObject
        val options = VerifierOptions(
            algorithms = algorithms,
            maxAge = entry.number("max_age")?.toLong() ?: window.maxAge,
            maxAhead = entry.number("max_ahead")?.toLong() ?: window.maxAhead,
            bareHtu = entry.flag("bare_htu"),
            nonces = issuer?.let {
                NonceOptions(listOf(NonceKey(it.number("key_id")!!.toInt(), it.text("secret")!!)), it.text("namespace"))
            },
        )
        val used = entry["already_used"]
        val usesStore = used != null || entry.has("store_floor")
        val store = if (usesStore) MemoryReplayStore(options, 1024, entry.number("store_floor")?.toLong() ?: (now - 3600)) else null
        val verifier = Verifier(options, store)

        fun judge(shown: List<String>, jkt: String?): String {
            val bound = if (jkt == null) thumbprintOf(shown) else if (Regex("[\\w-]{43}").matches(jkt)) jkt else nobody
            val token = entry.text("access_token")
            val method = entry.text("method") ?: claims.text("htm") ?: "GET"
            val url = entry.text("url") ?: claims.text("htu") ?: ""
            val presented = presented(method, url, shown, token, if (token == null) bound else bound ?: nobody, entry.text("nonce"))
            return try {
                if (store == null) verifier.check(presented, now).close() else verifier.verify(presented, store, now)
                "accepted"
            } catch (mistake: KeyboundException.Misuse) {
                throw mistake
            } catch (error: KeyboundException) {
                error.reason
            }
        }
        if (used != null) judge(used.jsonPrimitive.takeIf { it.isString }?.let { listOf(it.content) } ?: proofs, null)
        return judge(proofs, entry.text("jkt"))
    }

    /** With a token it came to a resource, without one to an authorization server. */
    private fun presented(
        method: String, url: String, proofs: List<String>, token: String? = null, boundTo: String? = null, nonce: String? = null,
    ): PresentedProof =
        if (token == null) PresentedProof.atAuthorizationServer(method, url, proofs, boundTo, nonce)
        else PresentedProof.atResource(method, url, proofs, token, boundTo!!, nonce)

    private fun lacking(entry: JsonObject, reason: String): Boolean {
        val header = segment(entry.text("proof"), 0)
        return reason in setOf("alg_unknown", "alg_unavailable") ||
            (reason == "alg_not_permitted" && header.text("alg") !in all) ||
            (reason == "jwk_unsupported" && header["jwk"]?.jsonObject?.text("crv") == "Ed448")
    }

    @TestFactory
    fun `every vector has its outcome`(): List<DynamicTest> =
        listOf("narrow" to narrow, "wide" to wide).flatMap { (name, window) ->
            Vectors.proofs().map { entry ->
                dynamicTest("${entry.text("id")} in a $name window") {
                    val id = entry.text("id")
                    // No build for Kotlin can be made without algorithms.
                    assumeTrue(!entry.flag("without_verifiers"), "needs a provider without algorithms")
                    val outcome = present(entry, window)
                    val unavailable = outcome != "accepted" && outcome != entry.text("rejection") && lacking(entry, outcome)
                    if (unavailable) assertEquals("key-ed448", id, "every other algorithm is in this build")
                    assumeTrue(!unavailable, "the algorithm is not in this build")
                    when (entry.text("expect")) {
                        "accept" -> assertEquals("accepted", outcome)
                        "reject" -> assertEquals(entry.text("rejection"), outcome)
                        else -> assertEquals("either", entry.text("expect"))
                    }
                }
            }
        }

    @Test
    fun `a wrong expectation is noticed`() {
        val entry = Vectors.read("vectors/accepted.json").jsonArray[0].jsonObject
        assertEquals("accepted", present(entry, narrow))
        assertEquals("iat_too_old", present(JsonObject(entry + ("now" to JsonPrimitive(1_900_000_000))), narrow))
    }

    @Test
    fun `the reasons are those of the contract`() {
        val own = Json.parseToJsonElement(reasons()).jsonObject
        fun picked(list: String, vararg names: String) =
            JsonArray(own.getValue(list).jsonArray.map { one -> JsonObject(names.associateWith { one.jsonObject.getValue(it) }) })
        assertEquals(Vectors.read("contract/reasons.json"), picked("rejections", "reason", "check", "section"))
        assertEquals(Vectors.read("contract/token_reasons.json"), picked("token_rejections", "reason", "status", "error"))
    }

    @Test
    fun `messages name options as Kotlin writes them`() {
        val wrong = assertThrows(KeyboundException.Misuse::class.java) { Verifier(VerifierOptions(maxAge = 1_000)) }
        assertTrue(wrong.fault.detail.startsWith("maxAge "), wrong.fault.detail)
        val advice = reasons()
        assertTrue(" dangerFirstStart." in advice && "danger_first_start" !in advice, advice)
    }

    @TestFactory
    fun `every mistake is found in one run`(): List<DynamicTest> = Vectors.read("vectors/explained/mistakes.json").jsonArray.map { it.jsonObject }.map { entry ->
        dynamicTest(entry.text("id")!!) {
            val options = VerifierOptions()
            val floor = entry.number("store_floor")?.toLong()
            val store = floor?.let { MemoryReplayStore(options, now = it, dangerFirstStart = entry.flag("first_start")) }
            val presented = presented(
                entry.text("method")!!, entry.text("url")!!, listOf(entry.text("proof")!!), entry.text("access_token"), entry.text("jkt"),
            )
            val explained = Verifier(options).explain(presented, store, entry.number("now")?.toLong())
            val unmet = explained.checks.filter { it.reason != null || it.because != null }.map { Triple(it.check, it.reason, it.because) }
            val expected = entry.getValue("unmet").jsonArray.map { it.jsonObject }.map { Triple(it.text("check"), it.text("reason"), it.text("because")) }
            assertEquals(expected, unmet)
            assertEquals(expected.firstNotNullOfOrNull { it.second }, explained.reason)
        }
    }

    @Test
    fun `a refused proof is explained, and the explanation names the check`() {
        val entry = Vectors.read("vectors/method.json").jsonArray[0].jsonObject
        val presented = presented(entry.text("method") ?: "GET", entry.text("url") ?: "https://a.example", listOf(entry.text("proof")!!))
        val explained = Verifier(VerifierOptions()).explain(presented, now = entry.number("now")?.toLong())
        assertTrue(!explained.accepted)
        val failed = explained.checks.first { it.outcome == CheckOutcome.FAILED }
        assertTrue(failed.fix!!.isNotEmpty(), failed.toString())
        assertEquals(explained.reason, Json.parseToJsonElement(explained.json).jsonObject.text("reason"))
    }
}
