package dev.keybound

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import java.nio.file.Files
import java.nio.file.Path

/** Forty thousand calls leave nothing behind: neither on the heap nor beside it. */
class LeakTest {
    @Test
    fun `memory is level`() {
        val status = Path.of("/proc/self/status")
        assumeTrue(Files.exists(status), "the memory of the process is read from /proc")
        val key = Key.generate()
        val options = VerifierOptions()
        val now = 1_700_000_000L
        val store = MemoryReplayStore(options, 65_536, now - 3600)
        val verifier = Verifier(options)
        val made = List(50) { proof("GET", "https://api.example.com/items", key, "token", now = now) }
        fun shown(at: Int, method: String = "GET") =
            PresentedProof.atResource(method, "https://api.example.com/items", listOf(made[at % made.size]), "token", key.thumbprint())
        for (at in made.indices) verifier.verify(shown(at), store, now)
        val client = CoreClient(ClientOptions(SecurityLevel.ENHANCED))

        fun work(calls: Int) = repeat(calls) { at ->
            when (at % 4) {
                0 -> assertEquals("replayed", assertThrows(KeyboundException.Rejected::class.java) { verifier.verify(shown(at), store, now) }.reason)
                1 -> verifier.check(shown(at), now).use { assertEquals("ES256", it.dangerSkipReplayCheck().algorithm) }
                2 -> assertThrows(KeyboundException.Rejected::class.java) { verifier.check(shown(at, "PUT"), now) }
                // A flow that is given up half way.
                else -> client.begin(CoreOperation.Discover("https://api.example.com/", emptyList(), null), now).use { it.step() }
            }
        }

        fun resident(): Long {
            repeat(3) {
                System.gc()
                Thread.sleep(50)
            }
            return Files.readAllLines(status).first { it.startsWith("VmRSS") }.filter { it.isDigit() }.toLong() * 1024
        }
        work(16_000)
        val before = resident()
        work(40_000)
        val grown = resident() - before
        // 500 bytes a call would be 20 MB.
        println("the process grew by $grown bytes")
        assertTrue(grown < 20e6, "the process grew by $grown bytes")
    }
}
