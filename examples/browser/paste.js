// What somebody pasted: a proof, a request, a curl command, or a response.

/**
 * @typedef {{ kind: 'response', status: number, headers: [string, string][], body: string }} PastedResponse
 * @typedef {{ kind: 'request', proofs: string[], method?: string, url?: string, token?: string }} PastedRequest
 */

/**
 * Reads a pasted text; null if it is nothing that is known.
 *
 * @param {string} text
 * @returns {PastedResponse | PastedRequest | null}
 */
export function read(text) {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (/^curl\s/i.test(trimmed)) return readCurl(trimmed);
  const lines = trimmed.split(/\r?\n/).map((line) => line.replace(/^[<>] ?/, ''));
  const [first = ''] = lines;
  const status = /^HTTP\/[\d.]+ (\d{3})/i.exec(first);
  if (status !== null) return readResponse(Number(status[1]), lines.slice(1));
  if (/^(www-authenticate|dpop-nonce)\s*:/i.test(first)) return readResponse(401, lines);
  if (/^(DPoP|Bearer)(\s+[\w-]+\s*=|\s*,|$)/i.test(trimmed)) return { kind: 'response', status: 401, headers: [['WWW-Authenticate', trimmed]], body: '' };
  const request = /^([!#$%&'*+.^_`|~\w-]+) (\S+)(?: HTTP\/[\d.]+)?$/.exec(first);
  if (request !== null && lines.length > 1) return readRequest(request[1], request[2], lines.slice(1));
  const proof = trimmed.replace(/^DPoP:\s*/i, '');
  return /^[\w=+/-]+\.[\w=+/-]*\.[\w=+/.-]*$/.test(proof) ? { kind: 'request', proofs: [proof] } : null;
}

function readResponse(status, lines) {
  const { headers, body } = fields(lines);
  return { kind: 'response', status, headers, body };
}

function readRequest(method, target, lines) {
  const { headers } = fields(lines);
  const host = named(headers, 'host')[0];
  // The scheme is not in a request; a server on this machine rarely has TLS.
  const scheme = /^(localhost|127\.|\[::1\])/.test(host ?? '') ? 'http' : 'https';
  const url = target.startsWith('/') && host !== undefined ? `${scheme}://${host}${target}` : target;
  return { kind: 'request', method, url, ...credentials(headers) };
}

function readCurl(text) {
  const words = split(text).slice(1);
  const headers = [];
  let [method, url, hasBody] = [undefined, undefined, false];
  for (let position = 0; position < words.length; position += 1) {
    const word = words[position];
    const value = () => words[(position += 1)] ?? '';
    if (word === '-X' || word === '--request') method = value();
    else if (word === '-H' || word === '--header') headers.push(field(value()));
    else if (/^(-d|--data|--data-raw|--data-binary|--data-urlencode|--json)$/.test(word)) hasBody = value() !== null;
    else if (word === '-I' || word === '--head') method = 'HEAD';
    else if (word === '--url') url = value();
    else if (!word.startsWith('-')) url ??= word;
  }
  return { kind: 'request', method: method ?? (hasBody ? 'POST' : 'GET'), ...(url === undefined ? {} : { url }), ...credentials(headers.filter(Boolean)) };
}

/** The words of a shell command: quotes, backslashes and line ends as a shell has them. */
function split(text) {
  const words = [];
  let word = null;
  let quote = '';
  for (let position = 0; position < text.length; position += 1) {
    const character = text[position];
    const escapes = character === '\\' && quote !== "'";
    if (escapes) {
      position += 1;
      if (text[position] !== '\n') word = (word ?? '') + (text[position] ?? '');
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

function fields(lines) {
  const end = lines.indexOf('');
  const head = end < 0 ? lines : lines.slice(0, end);
  return { headers: head.map(field).filter(Boolean), body: end < 0 ? '' : lines.slice(end + 1).join('\n') };
}

function field(line) {
  const colon = line.indexOf(':');
  return colon < 1 ? null : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
}

function named(headers, name) {
  return headers.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value);
}

function credentials(headers) {
  const token = /^DPoP\s+(\S+)$/i.exec(named(headers, 'authorization')[0] ?? '')?.[1];
  return { proofs: named(headers, 'dpop'), ...(token === undefined ? {} : { token }) };
}
