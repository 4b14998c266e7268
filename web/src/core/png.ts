/** Words inside a PNG file, in its own iTXt chunks: a picture that is passed on still says what it shows. */

const SIGNATURE_BYTES = 8;
/** Length, type, 13 bytes and checksum: IHDR is always first. */
const HEADER_BYTES = 4 + 4 + 13 + 4;

/** The same picture with `texts` by keyword (the standard has Title, Description, Comment, Creation Time, Software). */
export function withTexts(png: Uint8Array, texts: Record<string, string>): Uint8Array<ArrayBuffer> {
  const at = SIGNATURE_BYTES + HEADER_BYTES;
  const chunks = Object.entries(texts).map(([keyword, text]) => chunk('iTXt', body(keyword, text)));
  const out = new Uint8Array(png.length + chunks.reduce((sum, one) => sum + one.length, 0));
  out.set(png.subarray(0, at));
  let end = at;
  for (const one of chunks) {
    out.set(one, end);
    end += one.length;
  }
  out.set(png.subarray(at), end);
  return out;
}

/** Keyword, not compressed, no language, no translation, text. */
const body = (keyword: string, text: string): Uint8Array => new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`);

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(type), 4);
  out.set(data, 8);
  view.setUint32(8 + data.length, checksum(out.subarray(4, 8 + data.length)));
  return out;
}

/** CRC-32 as PNG wants it. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
