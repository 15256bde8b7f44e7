/** The part of MIME (RFC 2045–2047) that turns a raw mail into its subject and readable text. */

export interface Mail {
  readonly subject: string;
  /** Text parts, transfer encodings undone, HTML reduced to its text; attachments left out. */
  readonly body: string;
}

/** @param raw a mail as stored in an mbox: header lines, an empty line, the body */
export function readMail(raw: string): Mail {
  const { headers, body } = separate(raw.replace(/\r\n?/g, '\n'));
  return { subject: decodeWords(headers.get('subject') ?? ''), body: textOf(headers, body) };
}

type Headers = ReadonlyMap<string, string>;

function separate(part: string): { headers: Headers; body: string } {
  const end = part.search(/\n\n/);
  const head = end < 0 ? part : part.slice(0, end);
  const headers = new Map<string, string>();
  for (const line of head.replace(/\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { headers, body: end < 0 ? '' : part.slice(end + 2) };
}

function textOf(headers: Headers, body: string): string {
  const type = headers.get('content-type') ?? 'text/plain';
  const kind = type.split(';')[0]!.trim().toLowerCase();
  const boundary = parameter(type, 'boundary');
  if (kind.startsWith('multipart/') && boundary) return textOfParts(kind, body.split(`--${boundary}`).slice(1));
  if (kind === 'message/rfc822') return readMail(body).body;
  if (kind.includes('/') && !kind.startsWith('text/')) return '';
  const decoded = decodeTransfer(body, headers.get('content-transfer-encoding') ?? '', parameter(type, 'charset'));
  return kind === 'text/html' || /<html|<body|<table/i.test(decoded) ? textOfHtml(decoded) : decoded;
}

function textOfParts(kind: string, parts: readonly string[]): string {
  const texts: string[] = [];
  for (const part of parts) {
    if (part.startsWith('--')) break; // the closing boundary
    const { headers, body } = separate(part.replace(/^[ \t]*\n/, part.startsWith('\n\n') ? '\n' : ''));
    const text = textOf(headers, body);
    if (text.trim() !== '') texts.push(text);
    if (texts.length > 0 && kind === 'multipart/alternative') break; // the same text in another format follows
  }
  return texts.join('\n');
}

function parameter(header: string, name: string): string | undefined {
  const match = new RegExp(`${name}\\s*=\\s*(?:"([^"]*)"|([^;\\s]+))`, 'i').exec(header);
  return match?.[1] ?? match?.[2];
}

function decodeTransfer(body: string, encoding: string, charset: string | undefined): string {
  if (/base64/i.test(encoding)) return decodeBytes(Buffer.from(body, 'base64'), charset);
  if (/quoted-printable/i.test(encoding)) return decodeQuoted(body.replace(/=[ \t]*\n/g, ''), charset);
  return body;
}

/** Runs of =XX are bytes of the part's character set. */
const decodeQuoted = (text: string, charset: string | undefined): string =>
  text.replace(/(?:=[0-9A-Fa-f]{2})+/g, (run) => decodeBytes(Buffer.from(run.replaceAll('=', ''), 'hex'), charset));

function decodeBytes(bytes: Uint8Array, charset = 'windows-1252'): string {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes); // spam names character sets that do not exist
  }
}

/** Encoded words of a header, =?charset?B|Q?text?= (RFC 2047). */
const decodeWords = (header: string): string =>
  header
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?([^?]+)\?([BQ])\?([^?]*)\?=/gi, (_, charset: string, encoding: string, text: string) =>
      encoding.toUpperCase() === 'B'
        ? decodeBytes(Buffer.from(text, 'base64'), charset)
        : decodeQuoted(text.replaceAll('_', ' '), charset),
    );

const ENTITIES: Readonly<Record<string, string>> = { nbsp: ' ', amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function textOfHtml(html: string): string {
  return html
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<(script|style|title)\b[\s\S]*?<\/\1\s*>/gi, ' ')
    .replace(/<\/?[a-z!][^>]*>/gi, ' ')
    .replace(/&(?:#(\d{1,6})|([a-z]+));?/gi, (entity, code: string | undefined, name: string | undefined) =>
      code ? String.fromCodePoint(Math.min(Number(code), 0x10ffff)) : (ENTITIES[name!.toLowerCase()] ?? entity),
    );
}
