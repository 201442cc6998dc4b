package dev.keybound.android

import android.os.Build
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.UserNotAuthenticatedException
import dev.keybound.Clock
import dev.keybound.EncodedSignature
import dev.keybound.KeyFaultException
import dev.keybound.KeyboundException
import dev.keybound.KeyPurpose
import dev.keybound.Protection
import dev.keybound.SigningRequest
import dev.keybound.Sweeper
import dev.keybound.prepare
import dev.keybound.thumbprint
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
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
import java.io.IOException
import java.nio.file.Files
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
    fun `a lock is not lost to a coroutine that is cancelled while it is taken`() = runBlocking<Unit> {
        val sessions = KeystoreSessions(folder, "alice")
        repeat(20) {
            // It waits on another thread when it is cancelled: what that gives comes back to a coroutine that is over.
            val taking = launch(start = CoroutineStart.UNDISPATCHED) { sessions.lock("session/work", 30).release() }
            taking.cancel()
            taking.join()
        }
        withTimeout(10_000) { sessions.lock("session/work", 30).release() }
        assertTrue(sessions.save("session/work", null, 1, "a value"))
    }

    @Test
    fun `a lock that stays held is given up, and a link in the folder's place is refused`() = runBlocking<Unit> {
        val sessions = KeystoreSessions(folder, "alice")
        val held = KeystoreSessions(folder, "alice").lock("session/work", 1)
        val error = assertThrows(KeyboundException.Host::class.java) { runBlocking { sessions.lock("session/work", 1) } }
        assertEquals("lock_timeout", error.reason)
        held.release()
        Files.createSymbolicLink(File(folder, "bob").toPath(), File(folder, "alice").toPath())
        assertThrows(IOException::class.java) { runBlocking { KeystoreSessions(folder, "bob").save("session/work", null, 1, "a value") } }
    }

    @Test
    fun `every downgrade is told, once for each key`() = runBlocking<Unit> {
        FakeKeystore.securityLevel = KeyProperties.SECURITY_LEVEL_SOFTWARE
        // No StrongBox is asked for, and the trusted environment is not there.
        keys().createKey(listOf("ES256"), listOf(Protection.TEE, Protection.OS_STORE))
        assertTrue("OS_STORE and not in TEE" in told.single(), "$told")
        told.clear()
        keys(sdk = Build.VERSION_CODES.O).createKey(listOf("ES256"), any)
        assertTrue("not in STRONG_BOX: Android has StrongBox from version 9 on" in told.single(), "$told")
        told.clear()
        FakeKeystore.hasStrongBox = false
        keys().createKey(listOf("ES256"), any)
        assertTrue("OS_STORE and not in STRONG_BOX: this device has no StrongBox" in told.single(), "$told")
        told.clear()
        keys().createKey(listOf("ES256"), listOf(Protection.OS_STORE))
        assertTrue(told.isEmpty(), "the best that the client takes is no downgrade")
    }

    @Test
    fun `a login goes to a browser, and to the user's where one is chosen`() {
        val browsers = listOf("org.plain", "org.tabs")
        val hasTabs = { browser: String -> browser == "org.tabs" }
        assertEquals("org.plain", BrowserLogin.chosen(browsers, "org.plain", hasTabs))
        assertEquals("org.tabs", BrowserLogin.chosen(browsers, "android", hasTabs))
        assertEquals("org.tabs", BrowserLogin.chosen(browsers, "com.thief", hasTabs))
        assertEquals("org.plain", BrowserLogin.chosen(browsers, null) { false })
        assertNull(BrowserLogin.chosen(emptyList(), "com.thief", hasTabs))
    }

    @Test
    fun `a key that no session names is found, and no other`() = runBlocking<Unit> {
        val sessions = KeystoreSessions(folder, "alice")
        val own = keys().createKey(listOf("ES256"), any, sessions.owner)
        val others = listOf(
            keys().createKey(listOf("ES256"), any), keys().createKey(listOf("ES256"), any, KeystoreSessions(folder, "bob").owner),
        )
        assertTrue(sessions.save("login/forgotten", null, 7, "{}"))
        assertEquals(listOf(thumbprint(own.publicJwk)), keys().made(sessions.owner).map { it.thumbprint })
        val later = Clock { System.currentTimeMillis() / 1000 + 3 * 3_600 }

        // As long as there is something that cannot be read, it may name the key.
        FakeKeystore.fault = UserNotAuthenticatedException("locked")
        Sweeper.of(keys(), sessions, later)!!.sweepIfDue()
        FakeKeystore.fault = null
        keys().sign(request(own.publicJwk))
        Sweeper.of(keys(), sessions, later)!!.sweepIfDue()
        assertNull(sessions.load("login/forgotten"))
        // What that login held was not readable either: only now nothing can name the key.
        keys().sign(request(own.publicJwk))
        Sweeper.of(keys(), sessions, later)!!.sweepIfDue()
        assertThrows(KeyFaultException.Missing::class.java) { runBlocking { keys().sign(request(own.publicJwk)) } }
        for (key in others) keys().sign(request(key.publicJwk))
    }

    @Test
    fun `a session whose file is named by a hash keeps its key`() = runBlocking<Unit> {
        val sessions = KeystoreSessions(folder, "alice")
        val own = keys().createKey(listOf("ES256"), any, sessions.owner)
        assertTrue(sessions.save("session/" + "a".repeat(200), null, 7, "{}"))
        val later = Clock { System.currentTimeMillis() / 1000 + 3 * 3_600 }
        Sweeper.of(keys(), sessions, later)!!.sweepIfDue()
        keys().sign(request(own.publicJwk))
    }

    @Test
    fun `accounts whose names begin alike have no key in common, nor with the keys of sessions`() = runBlocking<Unit> {
        val nested = keys("alice/work").createKey(listOf("ES256"), any)
        assertTrue(KeystoreSessions(folder, "alice").save("session/work", null, 1, "a value"))
        keys("alice").deleteAll()
        // The keys of sessions are below an account of this name.
        keys("sessions").deleteAll()
        keys("alice/work").sign(request(nested.publicJwk))
        assertEquals("a value", KeystoreSessions(folder, "alice").load("session/work")!!.value)
    }

    @Test
    fun `the same key is found after a restart`() = runBlocking<Unit> {
        val key = keys().createKey(listOf("ES256"), any)
        val signature: EncodedSignature = keys().sign(request(key.publicJwk))
        assertTrue(signature.bytes.size in 68..72)
        assertArrayEquals(byteArrayOf(0x30), signature.bytes.copyOf(1))
    }
}
