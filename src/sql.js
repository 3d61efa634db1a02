// One statement of an object's SQLite, its parameters and its rows as bytes: each
// statement crosses between Rust and JavaScript once, whatever it binds and reads.
//
// A value is a tag and what follows it, numbers little-endian: NULL; NUMBER and 8
// bytes; TEXT (UTF-8) or BLOB, its length in 4 bytes, and its bytes.

const NULL = 0, NUMBER = 1, TEXT = 2, BLOB = 3, OTHER = 4;

// A byte order mark belongs to the text that it begins.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

// Where rows are written before they cross: kept from one statement to the next.
let out = new Uint8Array(4096);
let view = new DataView(out.buffer);
let end = 0;

function room(bytes) {
  if (end + bytes > out.length) {
    const larger = new Uint8Array(Math.max(end + bytes, out.length * 2));
    larger.set(out.subarray(0, end));
    out = larger;
    view = new DataView(out.buffer);
  }
}

function parameters(bytes) {
  const read = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++];
    if (tag === NULL) {
      values.push(null);
    } else if (tag === NUMBER) {
      values.push(read.getFloat64(at, true));
      at += 8;
    } else {
      const from = at + 4;
      at = from + read.getUint32(at, true);
      values.push(tag === TEXT ? decoder.decode(bytes.subarray(from, at)) : bytes.slice(from, at));
    }
  }
  return values;
}

function write(value) {
  if (typeof value === "string") {
    room(5 + value.length * 3);
    const { written } = encoder.encodeInto(value, out.subarray(end + 5));
    out[end] = TEXT;
    view.setUint32(end + 1, written, true);
    end += 5 + written;
  } else if (typeof value === "number") {
    room(9);
    out[end] = Number.isSafeInteger(value) ? NUMBER : OTHER;
    view.setFloat64(end + 1, value, true);
    end += out[end] === NUMBER ? 9 : 1;
  } else if (value instanceof ArrayBuffer) {
    room(5 + value.byteLength);
    out[end] = BLOB;
    view.setUint32(end + 1, value.byteLength, true);
    out.set(new Uint8Array(value), end + 5);
    end += 5 + value.byteLength;
  } else {
    room(1);
    out[end++] = value === null ? NULL : OTHER;
  }
}

// Rows written, rows read and columns (4 bytes each), and the values of the rows one after the
// other. Throws what the database throws.
export function statement(storage, sql, packed) {
  const cursor = storage.sql.exec(sql, ...parameters(packed));
  end = 12;
  let columns = 0;
  for (const row of cursor.raw()) {
    columns = row.length;
    row.forEach(write);
  }
  view.setUint32(0, cursor.rowsWritten, true);
  view.setUint32(4, cursor.rowsRead, true);
  view.setUint32(8, columns, true);
  const rows = out.subarray(0, end);
  // What a large result needed is not kept.
  if (out.length > 262144) {
    out = new Uint8Array(4096);
    view = new DataView(out.buffer);
  }
  return rows;
}
