package dev.keybound

import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory

/** Every flow transcript is played back (tests/vectors/flows). */
class FlowsTest {
    @TestFactory
    fun `transcripts are played back`(): List<DynamicTest> = Vectors.list("vectors/flows").map { file ->
        dynamicTest(file) { FlowPlayer(Vectors.read("vectors/flows/$file").jsonObject).play() }
    }
}
