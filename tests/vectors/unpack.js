// Unpacks the public age test vectors: node unpack.js DIRECTORY
//
// Each vector becomes two files: NAME.vector, its own header lines (see the package's README), and NAME.age, the
// age file itself, inflated where the vector is compressed. test_age_vectors reads them from $AGE_VECTORS.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import * as vectors from "cctv-age";

const directory = process.argv[2];
if (!directory) {
  console.error("usage: node unpack.js DIRECTORY");
  process.exit(2);
}
mkdirSync(directory, { recursive: true });

for (const [name, content] of Object.entries(vectors)) {
  const bytes = Buffer.from(content);
  const end = bytes.indexOf("\n\n");
  if (end < 0 || !/^\w+$/.test(name)) throw new Error(`${name}: not a vector`);
  const header = bytes.subarray(0, end + 1);
  const file = bytes.subarray(end + 2);
  const compressed = /^compressed: (.*)$/m.exec(header.toString())?.[1];
  if (compressed && compressed !== "zlib") throw new Error(`${name}: compressed with ${compressed}`);
  writeFileSync(join(directory, `${name}.vector`), header);
  writeFileSync(join(directory, `${name}.age`), compressed ? inflateSync(file) : file);
}
console.log(`${Object.keys(vectors).length} vectors in ${directory}`);
