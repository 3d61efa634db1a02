// Writes the bodies in this folder: `node make.mjs` with Node.js 22.15 or newer.
//
//   batch.br, batch.zst   Casso's transactions 101 and 102, 103 and 104, as `tram_tests::casso` has them
//   zeros.br              a gibibyte of zeros
//   zeros.zst             64 MiB of them, with the widest window of RFC 9659 (8 MiB)
//   wide.zst              the same, with a window of 128 MiB

import { createWriteStream, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { brotliCompressSync, constants, createBrotliCompress, zstdCompressSync } from 'node:zlib'

const transaction = (id) => ({
  amount: 100_000 + id, bankName: 'VPBank', bank_sub_acc_id: '88888888', cusum_balance: 5_000_000,
  description: `Khách hàng chuyển tiền đơn hàng DH${id}`, id, subAccId: '88888888', tid: `FT000${id}`, when: '2026-11-20 10:30:00',
})
const batch = (first) => Buffer.from(JSON.stringify({ data: [transaction(first), transaction(first + 1)], error: 0 }))
const file = (name) => new URL(name, import.meta.url)
writeFileSync(file('batch.br'), brotliCompressSync(batch(101)))
writeFileSync(file('batch.zst'), zstdCompressSync(batch(103)))
const zeros = (windowLog) => zstdCompressSync(Buffer.alloc(64 << 20), {
  params: { [constants.ZSTD_c_windowLog]: windowLog, [constants.ZSTD_c_contentSizeFlag]: 0 },
})
writeFileSync(file('zeros.zst'), zeros(23))
writeFileSync(file('wide.zst'), zeros(27))
const mebibyte = Buffer.alloc(1 << 20)
Readable.from((function* () { for (let at = 0; at < 1024; at++) yield mebibyte })())
  .pipe(createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }))
  .pipe(createWriteStream(file('zeros.br')))
