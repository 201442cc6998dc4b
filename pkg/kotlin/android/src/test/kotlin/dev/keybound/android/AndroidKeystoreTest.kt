package dev.keybound.android

import android.os.Build
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.UserNotAuthenticatedException
import dev.keybound.KeyFaultException
import dev.keybound.KeyPurpose
import dev.keybound.Protection
import dev.keybound.Signature
import dev.keybound.SigningRequest
import dev.keybound.prepare
import dev.keybound.thumbprint
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.security.InvalidKeyException
import java.security.UnrecoverableKeyException

/** Keys and sessions of Android's Keystore, with a provider that stands in for it. */
class AndroidKeystoreTest {
    @TempDir
    lateinit var folder: File

    private val any = Protection.entries.toList()
    private val told = mutableListOf<String>()

    @BeforeEach
    fun device() = FakeKeystore.reset()

    private fun keys(account: String = "alice", sdk: Int = Build.VERSION_CODES.UPSIDE_DOWN_CAKE) =
        AndroidKeystoreKeys(account, false, { told += it }, sdk)

    private fun request(jwk: String) = SigningRequest(thumbprint(jwk), KeyPurpose.PROOF, "ES256", "message".toByteArray(), null)

    @Test
    fun `StrongBox is preferred, and what it signs is a proof`() = runBlocking<Unit> {
        val key = keys().createKey(listOf("ES256"), any)
        assertEquals(Protection.STRONG_BOX, key.protection)
        assertTrue(told.isEmpty())
        val unsigned = prepare("GET", "https://api.example.com/items", key.publicJwk, "ES256", "token")
        val signing = SigningRequest(thumbprint(key.publicJwk), KeyPurpose.PROOF, "ES256", unsigned.message(), unsigned.digest())
        // The signature is verified when it is attached.
        assertTrue(unsigned.attach(keys().sign(signing)).split(".").size == 3)
    }

    @Test
    fun `without StrongBox the fallback is reported, and refused where the client wants none`() = runBlocking<Unit> {
        FakeKeystore.hasStrongBox = false
        assertEquals(Protection.TEE, keys().createKey(listOf("ES256"), any).protection)
        assertEquals(1, told.size)
        FakeKeystore.kept.clear()
        assertThrows(Exception::class.java) { runBlocking { keys().createKey(listOf("ES256"), listOf(Protection.STRONG_BOX)) } }
        FakeKeystore.securityLevel = KeyProperties.SECURITY_LEVEL_SOFTWARE
        val refused = assertThrows(IllegalStateException::class.java) {
            runBlocking { keys().createKey(listOf("ES256"), listOf(Protection.STRONG_BOX, Protection.TEE)) }
        }
        assertTrue("OS_STORE" in refused.message!!)
        assertTrue(FakeKeystore.kept.isEmpty(), "a key that is not wanted is deleted")
        assertEquals(Protection.OS_STORE, keys().createKey(listOf("ES256"), any).protection)
        assertThrows(IllegalStateException::class.java) { runBlocking { keys().createKey(listOf("Ed25519"), any) } }
    }

    @Test
    fun `devices before StrongBox keep keys in their trusted environment or say so`() = runBlocking<Unit> {
        val place = keys(sdk = Build.VERSION_CODES.O).createKey(listOf("ES256"), any).protection
        assertTrue(place == Protection.TEE || place == Protection.OS_STORE)
    }

    @Test
    fun `accounts have no key in common`() = runBlocking<Unit> {
        val alices = keys("alice").createKey(listOf("ES256"), any)
        val bobs = keys("bob").createKey(listOf("ES256"), any)
        assertThrows(KeyFaultException.Missing::class.java) { runBlocking { keys("bob").sign(request(alices.publicJwk)) } }
        keys("bob").deleteAll()
        keys("alice").sign(request(alices.publicJwk))
        keys("alice").deleteKey(thumbprint(alices.publicJwk))
        keys("alice").deleteKey(thumbprint(alices.publicJwk))
        assertThrows(KeyFaultException.Missing::class.java) { runBlocking { keys("alice").sign(request(alices.publicJwk)) } }
        assertThrows(KeyFaultException.Missing::class.java) { runBlocking { keys("bob").sign(request(bobs.publicJwk)) } }
    }

    @Test
    fun `every exception of the Keystore is one of three faults`() = runBlocking<Unit> {
        val key = keys().createKey(listOf("ES256"), any)
        val cases = listOf(
            KeyPermanentlyInvalidatedException("new fingerprint") to KeyFaultException.Changed::class.java,
            UnrecoverableKeyException("wrapped").initCause(KeyPermanentlyInvalidatedException()) to KeyFaultException.Changed::class.java,
            UserNotAuthenticatedException("locked") to KeyFaultException.Unreadable::class.java,
            InvalidKeyException("what a maker invented") to KeyFaultException.Unreadable::class.java,
            java.security.ProviderException("busy") to KeyFaultException.Unreadable::class.java,
        )
        for ((thrown, expected) in cases) {
            FakeKeystore.fault = thrown as Exception
            val fault = assertThrows(expected) { runBlocking { keys().sign(request(key.publicJwk)) } }
            assertTrue(thrown in generateSequence<Throwable>(fault) { it.cause }, "the reason is not lost")
        }
        FakeKeystore.fault = null
        keys().sign(request(key.publicJwk))
    }

    @Test
    fun `sessions are encrypted, replaced by version, and gone with their key`() = runBlocking<Unit> {
        val sessions = KeystoreSessions(folder, "alice")
        assertNull(sessions.load("session/work"))
        assertTrue(sessions.save("session/work", null, 1, "a secret\nof two lines"))
        assertFalse(sessions.save("session/work", null, 1, "late"))
        assertEquals("a secret\nof two lines", KeystoreSessions(folder, "alice").load("session/work")!!.value)
        val files = folder.walk().filter { it.isFile }.toList()
        assertTrue(files.none { "secret" in it.readBytes().decodeToString() })
        assertNull(KeystoreSessions(folder, "bob").load("session/work"))

        // A file under another's name is none.
        val sealed = files.first { it.length() > 0 }
        sealed.copyTo(File(sealed.parentFile, sealed.name.replace("work", "home")))
        assertNull(sessions.load("session/home"))

        FakeKeystore.fault = UserNotAuthenticatedException("locked")
        assertThrows(KeyFaultException.Unreadable::class.java) { runBlocking { sessions.load("session/work") } }
        FakeKeystore.fault = null
        FakeKeystore.kept.clear()
        assertNull(sessions.load("session/work"), "its key is gone")
        assertTrue(sessions.save("session/work", null, 1, "anew"))
        assertTrue(sessions.save("session/work", 1, 2, null))
        assertNull(sessions.load("session/work"))
    }

    @Test
    fun `the same key is found after a restart`() = runBlocking<Unit> {
        val key = keys().createKey(listOf("ES256"), any)
        val signature: Signature = keys().sign(request(key.publicJwk))
        assertTrue(signature.bytes.size in 68..72)
        assertArrayEquals(byteArrayOf(0x30), signature.bytes.copyOf(1))
    }
}
