package dev.keybound

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import java.nio.file.Files
import java.nio.file.Path
import java.util.Base64

/** What the tests read from the repository: vectors, flows and the contract. */
object Vectors {
    private val tests: Path = generateSequence(Path.of("").toAbsolutePath()) { it.parent }
        .map { it.resolve("tests") }.first { Files.isDirectory(it.resolve("vectors")) }

    /** A file or folder below `tests`. */
    fun path(path: String): Path = tests.resolve(path)

    fun read(path: String): JsonElement = Json.parseToJsonElement(Files.readString(tests.resolve(path)))

    /** Names of the JSON files in a folder below `tests`. */
    fun list(folder: String): List<String> =
        Files.list(tests.resolve(folder)).use { files -> files.map { it.fileName.toString() }.filter { it.endsWith(".json") }.sorted().toList() }

    /** All proofs with their outcomes. */
    fun proofs(): List<JsonObject> = list("vectors").flatMap { read("vectors/$it").jsonArray }.map { it.jsonObject }
}

/** A decoded part of a JWT. */
fun part(text: String, at: Int): JsonObject =
    Json.parseToJsonElement(Base64.getUrlDecoder().decode(text.split(".")[at]).decodeToString()).jsonObject

/** A text member; null if it is none or absent. */
fun JsonObject.text(name: String): String? = (this[name] as? JsonPrimitive)?.takeIf { it.isString }?.content

/** A number member. */
fun JsonObject.number(name: String): Double? = (this[name] as? JsonPrimitive)?.takeIf { !it.isString }?.contentOrNull?.toDoubleOrNull()

fun JsonObject.flag(name: String): Boolean = (this[name] as? JsonPrimitive)?.contentOrNull == "true"

fun JsonObject.has(name: String): Boolean = this[name] != null && this[name] !is JsonNull
