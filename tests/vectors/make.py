#!/usr/bin/env python3
"""Makes made.json: known answers where nobody has published any.

Signatures are computed here with Python's standard library alone, from the rules
that the providers document, so that the product is never its own witness. Run it
in this folder: python3 make.py. The same input always makes the same file.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).parent
VECTORS = []


def vector(provider, name, headers, body, secret, expect="accept", *, source, now=0, settings=None, events=None, note=""):
    entry = {
        "provider": provider, "name": name, "origin": "constructed", "method": "POST", "url": "",
        "headers": headers, "body": body, "secret": secret, "now": now, "expect": expect,
        "source": source, "note": note,
    }
    if settings is not None:
        entry["settings"] = settings
    if events is not None:
        entry["events"] = events
    VECTORS.append(entry)


def mac(algorithm, key, message):
    return hmac.new(key.encode(), message.encode() if isinstance(message, str) else message, algorithm)


def hexmac(key, message, algorithm=hashlib.sha256):
    return mac(algorithm, key, message).hexdigest()


def altered(text):
    """The text with its last digit or letter changed."""
    at = max(i for i, letter in enumerate(text) if letter.isalnum() and letter.isascii())
    return text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1:]


JSON = {"Content-Type": "application/json"}
COMPACT = {"separators": (",", ":")}

# --- casso-v2 ----------------------------------------------------------------------

CASSO = "https://github.com/CassoHQ/casso-webhook-v2-verify-signature"
CASSO_KEY = "k3y-casso-v2-0123456789-abcdefghijklmnop"
CASSO_AT = 1734924830020
CASSO_DATA = {
    "error": 0,
    "data": {
        "id": 218897, "reference": "FT24364030863634",
        "description": "Nguyễn Thị Ánh chuyển tiền đơn hàng 12/34 <A&B> \"gấp\" 😀",
        "amount": -16775000, "runningBalance": 16775000, "transactionDateTime": "2024-12-23 07:00:00",
        "accountNumber": "123456789", "bankName": "Ngân hàng Quân đội", "bankAbbreviation": "MBB",
        "virtualAccountNumber": "", "virtualAccountName": None, "counterAccountName": "CÔNG TY TNHH MỘT/HAI",
        "counterAccountNumber": "", "counterAccountBankId": "", "counterAccountBankName": "",
    },
}


def javascript(value, **more):
    return json.dumps(value, ensure_ascii=False, **COMPACT, **more)


def python(value, **more):
    return json.dumps(value, **COMPACT, **more)


def php(value, **more):
    return python(value, **more).replace("/", "\\/")


def go(value, **more):
    text = javascript(value, **more)
    for letter in "<>&":
        text = text.replace(letter, "\\u%04x" % ord(letter))
    return text


WRITERS = {"JavaScript": javascript, "PHP": php, "Python": python, "Go": go}
CASSO_EVENT = {
    "object_id": "218897", "test": False, "bank": "Ngân hàng Quân đội", "account": "123456789",
    "direction": "out", "amount": "16775000", "transaction_id": "FT24364030863634",
    "description": CASSO_DATA["data"]["description"], "occurred_at": "2024-12-23T00:00:00.000Z",
}
for signer, sign in WRITERS.items():
    message = f"{CASSO_AT}.{sign(CASSO_DATA, sort_keys=True)}"
    signature = hexmac(CASSO_KEY, message, hashlib.sha512)
    headers = {**JSON, "X-Casso-Signature": f"t={CASSO_AT},v1={signature}"}
    for wire, write in WRITERS.items():
        vector("casso-v2", f"Vietnamese, signed as {signer} writes it, sent as {wire} writes it", headers,
               write(CASSO_DATA), CASSO_KEY, source=CASSO, now=CASSO_AT // 1000, events=[CASSO_EVENT])
    body = sign(CASSO_DATA).replace("16775000,", "16775001,", 1)
    vector("casso-v2", f"signed as {signer} writes it, amount altered", headers, body, CASSO_KEY, "reject", source=CASSO)
    twice = sign(CASSO_DATA).replace('"error":0', '"error":0,"error":0')
    vector("casso-v2", f"signed as {signer} writes it, a name twice", headers, twice, CASSO_KEY, "reject", source=CASSO)

plain = javascript(CASSO_DATA, sort_keys=True)
signed = lambda at: {"X-Casso-Signature": f"t={at},v1=" + hexmac(CASSO_KEY, f"{at}.{plain}", hashlib.sha512)}
late = CASSO_AT // 1000 + 301
vector("casso-v2", "an age of 12 hours is taken", signed(CASSO_AT), plain, CASSO_KEY, source=CASSO, now=CASSO_AT // 1000 + 43200)
vector("casso-v2", "milliseconds: 300 s old of 300", signed(CASSO_AT), plain, CASSO_KEY, source=CASSO, now=late - 1,
       settings={"tolerance_seconds": 300})
vector("casso-v2", "milliseconds: 301 s old of 300", signed(CASSO_AT), plain, CASSO_KEY, "reject", source=CASSO, now=late,
       settings={"tolerance_seconds": 300})
vector("casso-v2", "seconds in the place of milliseconds", signed(CASSO_AT // 1000), plain, CASSO_KEY, "reject",
       source=CASSO, now=CASSO_AT // 1000, settings={"tolerance_seconds": 300})
over_bytes = hexmac(CASSO_KEY, f"{CASSO_AT}.{javascript(CASSO_DATA)}", hashlib.sha512)
vector("casso-v2", "signed over bytes that are not sorted", {"X-Casso-Signature": f"t={CASSO_AT},v1={over_bytes}"},
       javascript(CASSO_DATA), CASSO_KEY, "reject", source=CASSO)
short = hexmac(CASSO_KEY, f"{CASSO_AT}.{plain}", hashlib.sha256)
vector("casso-v2", "SHA-256 in the place of SHA-512", {"X-Casso-Signature": f"t={CASSO_AT},v1={short}"}, plain, CASSO_KEY,
       "reject", source=CASSO)

# --- sepay -------------------------------------------------------------------------

SEPAY = "https://developer.sepay.vn/en/sepay-webhooks/xac-thuc"
SEPAY_FIELDS = {
    "id": 92704, "gateway": "Vietcombank", "transactionDate": "2024-07-02 11:08:33", "accountNumber": "1017588888",
    "subAccount": "", "code": "", "content": "Nguyễn Văn A chuyển tiền", "transferType": "in", "transferAmount": 10000,
    "accumulated": 105010000, "referenceCode": "FT24012345678", "description": "",
}
SEPAY_EVENT = {
    "object_id": "92704", "test": False, "bank": "Vietcombank", "account": "1017588888", "direction": "in", "amount": "10000",
    "transaction_id": "FT24012345678", "description": "Nguyễn Văn A chuyển tiền", "occurred_at": "2024-07-02T04:08:33.000Z",
}


def multipart(fields, boundary):
    lines = []
    for name, value in fields.items():
        lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", str(value)]
    return "\r\n".join([*lines, f"--{boundary}--", ""])


BOUNDARY = "------------------------d74496d66958873e"
SEPAY_BODIES = [
    ("JSON", "application/json", javascript(SEPAY_FIELDS)),
    ("a form", "application/x-www-form-urlencoded", urlencode(SEPAY_FIELDS)),
    ("multipart", f"multipart/form-data; boundary={BOUNDARY}", multipart(SEPAY_FIELDS, BOUNDARY)),
    ("multipart, boundary in quotes", 'multipart/form-data; boundary="a b"', multipart(SEPAY_FIELDS, "a b")),
]
SEPAY_KEY, SEPAY_SECRET, SEPAY_AT = "test_key_123", "whsec_test_0123456789abcdef0123456789abcd", 1719893313
for name, content_type, body in SEPAY_BODIES:
    typed = {"Content-Type": content_type}
    relayed = [{**SEPAY_EVENT, "body": body}]
    vector("sepay", name, {**typed, "Authorization": f"Apikey {SEPAY_KEY}"}, body, SEPAY_KEY, source=SEPAY, events=relayed)
    signature = "sha256=" + hexmac(SEPAY_SECRET, f"{SEPAY_AT}.{body}")
    proof = {**typed, "X-SePay-Timestamp": str(SEPAY_AT), "X-SePay-Signature": signature}
    vector("sepay-hmac", name, proof, body, SEPAY_SECRET, source=SEPAY, now=SEPAY_AT, events=relayed)
    vector("sepay-hmac", f"{name}, altered", proof, body.replace("10000", "10001", 1), SEPAY_SECRET, "reject", source=SEPAY, now=SEPAY_AT)
for name, value in [("another key", "Apikey test_key_124"), ("no scheme", SEPAY_KEY), ("another scheme", f"Bearer {SEPAY_KEY}"), ("empty", "")]:
    vector("sepay", name, {**JSON, "Authorization": value}, SEPAY_BODIES[0][2], SEPAY_KEY, "reject", source=SEPAY)
for name, value in [("scheme in lower case", f"apikey {SEPAY_KEY}"), ("scheme in upper case", f"APIKEY  {SEPAY_KEY}")]:
    vector("sepay", name, {**JSON, "authorization": value}, SEPAY_BODIES[0][2], SEPAY_KEY, source=SEPAY)
body = SEPAY_BODIES[0][2]
decoded = base64.b64decode("dGVzdF9rZXk=")
for name, key in [("the secret without its whsec_", SEPAY_SECRET[6:].encode()), ("the base64 behind whsec_ as key", decoded)]:
    secret = SEPAY_SECRET if name.startswith("the secret") else "whsec_dGVzdF9rZXk="
    signature = hmac.new(key, f"{SEPAY_AT}.{body}".encode(), hashlib.sha256).hexdigest()
    vector("sepay-hmac", name, {"X-SePay-Timestamp": str(SEPAY_AT), "X-SePay-Signature": f"sha256={signature}"}, body, secret,
           "reject", source=SEPAY, now=SEPAY_AT)
signature = hexmac(SEPAY_SECRET, body)
vector("sepay-hmac", "signed without the time", {"X-SePay-Timestamp": str(SEPAY_AT), "X-SePay-Signature": f"sha256={signature}"}, body,
       SEPAY_SECRET, "reject", source=SEPAY, now=SEPAY_AT)

BANKHUB = "https://developer.sepay.vn/en/bankhub/webhook-event"
for at, event in enumerate([
    "LINK_TOKEN_CREATED", "LINK_TOKEN_REVOKED", "LINK_TOKEN_EXPIRED", "LINK_SESSION_INITIALIZED", "LINK_SESSION_REINITIALIZED",
    "LINK_SESSION_STATE_CHANGED", "LINK_SESSION_COMPLETED", "LINK_SESSION_FAILED", "LINK_SESSION_ABANDONED", "LINK_SESSION_EXPIRED",
    "BANK_ACCOUNT_LINKED", "BANK_ACCOUNT_UNLINKED", "BANK_ACCOUNT_INACTIVATED",
]):
    about = {"LINK_TOKEN": "link_token_xid", "LINK_SESSION": "link_session_xid", "BANK_ACCOUNT": "bank_account_xid"}
    name = next(name for kind, name in about.items() if event.startswith(kind))
    xid = f"628af450-6f83-443f-b2f1-7d8ae46{at:05}"
    body = javascript({
        "timestamp": 1768312100, "xid": f"e61cdae9-505e-4349-9713-a3e5b8b{at:05}", "version": "1.0", "event": event,
        "metadata": {"purpose": "LINK_BANK_ACCOUNT", name: xid},
    })
    vector("sepay-bankhub", event, {**JSON, "X-Secret-Key": "your-secret-key-here"}, body, "your-secret-key-here", source=BANKHUB,
           events=[{"name": event, "object_id": xid, "description": "LINK_BANK_ACCOUNT", "occurred_at": "2026-01-13T13:48:20.000Z", "test": False}])
for name, headers in [("another key", {"X-Secret-Key": "your-secret-key-herE"}), ("no key", {}), ("empty", {"X-Secret-Key": ""})]:
    vector("sepay-bankhub", name, headers, body, "your-secret-key-here", "reject", source=BANKHUB)

IPN = "https://developer.sepay.vn/en/bankhub/thong-bao-bien-dong-so-du"
change = {
    "gateway": "MBBank", "transaction_date": "2025-09-01 00:00:15", "account_number": "0123499999",
    "bank_account_xid": "52930e2b-c38b-4cd1-b2a2-9ddcdc603104", "va": None, "payment_code": None, "content": "Thanh toán đơn 7",
    "transfer_type": "credit", "amount": 500000, "reference_code": "FT25244000001", "accumulated": 0, "transaction_id": "b0a1c2d3",
}
for kind, direction in [("credit", "in"), ("debit", "out")]:
    vector("sepay-bankhub-ipn", kind, {**JSON, "Authorization": "Apikey k3y"}, javascript({**change, "transfer_type": kind}), "k3y", source=IPN,
           events=[{"object_id": "b0a1c2d3", "bank": "MBBank", "account": "0123499999", "direction": direction, "amount": "500000",
                    "transaction_id": "FT25244000001", "occurred_at": "2025-08-31T17:00:15.000Z"}])
vector("sepay-bankhub-ipn", "another key", {**JSON, "Authorization": "Apikey k3Y"}, javascript(change), "k3y", "reject", source=IPN)

GATEWAY = "https://developer.sepay.vn/en/cong-thanh-toan/IPN"
payment = {
    "timestamp": 1757058220, "notification_type": "ORDER_PAID",
    "order": {"id": "e2c195be-c721-47eb-b323-99ab24e52d85", "order_id": "NPSETVI00101000042R", "order_status": "CAPTURED",
              "order_currency": "VND", "order_amount": "50000.00", "order_invoice_number": "SUB_202509_001", "custom_data": [],
              "order_description": "Thanh toán định kỳ gói Premium tháng 9/2025"},
    "transaction": {"id": "384c66dd-41e6-4316-a544-b4141682595c", "payment_method": "CARD", "transaction_id": "68ba94ac80123",
                    "transaction_type": "PAYMENT", "transaction_date": "2025-09-01 00:00:15", "transaction_status": "APPROVED",
                    "transaction_amount": "50000", "transaction_currency": "VND"},
    "customer": {},
}
for kind, direction in [("ORDER_PAID", "in"), ("RENEWAL_ORDER_PAID", "in"), ("TRANSACTION_VOID", None)]:
    vector("sepay-pg", kind, {**JSON, "X-Secret-Key": "s3cret"}, javascript({**payment, "notification_type": kind}), "s3cret", source=GATEWAY,
           events=[{"name": kind, "object_id": "SUB_202509_001", "direction": direction, "amount": "50000", "transaction_id": "68ba94ac80123"}])
vector("sepay-pg", "another key", {**JSON, "X-Secret-Key": "s3creT"}, javascript(payment), "s3cret", "reject", source=GATEWAY)

# --- thueapi, pay2s, beepay --------------------------------------------------------

THUEAPI = "https://dev.thueapi.vn/docs/xac-thuc-chu-ky , https://dev.thueapi.vn/docs/nhan-webhook"
THUEAPI_SECRET = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6"


def transaction(id, kind, amount, checksum):
    return javascript({
        "id": id, "gateway": "ACB", "transactionDate": "2025-10-14 10:59:30", "transactionNumber": f"FT25314{id}VN",
        "accountNumber": "19354957", "content": f"Đơn hàng {id}", "transferType": kind, "transferAmount": amount, "checksum": checksum,
    })


THREE = [transaction("3521", "IN", 200000, "a1b2c3d4e5f6"), transaction("3522", "OUT", 50000, "b1b2c3d4e5f6"), transaction("3523", "IN", 1, "c1b2c3d4e5f6")]
batch = '{"transactions":[' + " , ".join(THREE) + ']}'


def split(resign):
    """What reaches the origin of each transaction: the PHP sample must take it."""
    events = []
    for element, (id, direction, amount) in zip(THREE, [("3521", "in", "200000"), ("3522", "out", "50000"), ("3523", "in", "1")]):
        body = '{"transactions":[' + element + ']}'
        events.append({"object_id": id, "bank": "ACB", "account": "19354957", "direction": direction, "amount": amount,
                       "transaction_id": f"FT25314{id}VN", "body": body, "headers": resign(body)})
    return events


for name, prefix in [("bare hex", ""), ("sha256=", "sha256=")]:
    sign = lambda body: prefix + hexmac(THUEAPI_SECRET, body)
    vector("thueapi", f"three transactions, {name}, each signed again in the same form", {**JSON, "X-Webhook-Signature": sign(batch)}, batch,
           THUEAPI_SECRET, source=THUEAPI, events=split(lambda body: {"x-webhook-signature": sign(body)}))
    vector("thueapi", f"altered, {name}", {**JSON, "X-Webhook-Signature": sign(batch)}, batch.replace("50000", "50001"), THUEAPI_SECRET,
           "reject", source=THUEAPI)
    vector("thueapi", f"one transaction, {name}, relayed as it came", {**JSON, "X-Webhook-Signature": sign('{"transactions":[' + THREE[0] + ']}')},
           '{"transactions":[' + THREE[0] + ']}', THUEAPI_SECRET, source=THUEAPI, events=[{"object_id": "3521", "headers": {}}])
upper = hexmac(THUEAPI_SECRET, batch).upper()
vector("thueapi", "hex in upper case", {"X-Webhook-Signature": upper}, batch, THUEAPI_SECRET, source=THUEAPI)
vector("thueapi", "empty secret", {"X-Webhook-Signature": hexmac("", batch)}, batch, "", "reject", source=THUEAPI)
vector("thueapi", "base64 in the place of hex", {"X-Webhook-Signature": base64.b64encode(mac(hashlib.sha256, THUEAPI_SECRET, batch).digest()).decode()},
       batch, THUEAPI_SECRET, "reject", source=THUEAPI)
vector("thueapi", "an empty batch is a test call", {"X-Webhook-Signature": hexmac(THUEAPI_SECRET, '{"transactions":[]}')}, '{"transactions":[]}',
       THUEAPI_SECRET, source=THUEAPI, events=[{"test": True}])

PAY2S = "https://docs.pay2s.vn/webhook/tai-lieu-ky-thuat.html"
vector("pay2s", "three transactions", {**JSON, "Authorization": "Bearer eyJ0eXAi.t0ken"}, batch, "eyJ0eXAi.t0ken", source=PAY2S, events=split(lambda body: {}))
for name, value in [("another token", "Bearer eyJ0eXAi.t0keN"), ("no scheme", "eyJ0eXAi.t0ken"), ("empty", "Bearer ")]:
    vector("pay2s", name, {**JSON, "Authorization": value}, batch, "eyJ0eXAi.t0ken", "reject", source=PAY2S)

BEEPAY = "https://docs.beepay.vn/api/webhooks"
body = javascript({
    "event": "bank_transaction", "bank_code": "MB", "bank_name": "MB Bank", "transaction_type": "credit", "amount": "500000.00",
    "currency": "VND", "balance_after": None, "account_number": "008000888", "transaction_ref": "FT26111330819043",
    "transaction_date": "2026-04-21T08:25:04.000Z", "description": "BEEPAY42 thanh toan", "counterpart_name": "NGUYEN VAN A",
    "order_id": "BEEPAY42", "transaction_id": 5669, "timestamp": 1745227504,
})
headers = {**JSON, "X-Webhook-Source": "beepay", "X-Webhook-Signature": "sha256=" + hexmac("a1b2c3d4", body)}
vector("beepay", "documented body", headers, body, "a1b2c3d4", source=BEEPAY,
       events=[{"name": "bank_transaction", "object_id": "5669", "bank": "MB Bank", "account": "008000888", "direction": "in",
                "amount": "500000.00", "transaction_id": "FT26111330819043", "occurred_at": "2026-04-21T08:25:04.000Z"}])
vector("beepay", "altered", headers, body.replace("500000.00", "500001.00"), "a1b2c3d4", "reject", source=BEEPAY)
vector("beepay", "another secret", headers, body, "a1b2c3d5", "reject", source=BEEPAY)
vector("beepay", "no prefix", {"X-Webhook-Signature": hexmac("a1b2c3d4", body)}, body, "a1b2c3d4", "reject", source=BEEPAY)

# --- abaha -------------------------------------------------------------------------

ABAHA = "https://tailieu.abaha.vn"
for kind, object_id, more in [
    ("order", "208610", {"amount": "1790000", "transaction_id": "00000208610", "description": "Chưa thanh toán", "occurred_at": "2022-06-10T03:53:56.000Z"}),
    ("product", "873167", {"transaction_id": "CEkJ48H4W4", "description": "Kẻ chân mày - Chanel", "occurred_at": "2022-06-09T06:10:30.000Z"}),
    ("customer", "1347849", {"description": "Robot 2", "occurred_at": "2022-06-09T06:16:01.000Z"}),
]:
    body = (HERE / "payloads" / f"abaha-{kind}.json").read_text()
    flat = {name: "" if value is None else value for name, value in json.loads(body).items() if not isinstance(value, (dict, list))}
    expected = {"name": kind, "object_id": object_id, "test": False, **more}
    for form, content_type, content in [
        ("JSON", "application/json", body),
        ("a form", "application/x-www-form-urlencoded", urlencode(flat)),
        ("multipart", f"multipart/form-data; boundary={BOUNDARY}", multipart(flat, BOUNDARY)),
    ]:
        vector("abaha", f"{kind} as {form}", {"Content-Type": content_type, "X-Abaha-Token": "v4lue"}, content, "v4lue", source=ABAHA,
               settings={"header": "x-abaha-token"}, events=[{**expected, "body": content}])
for name, value in [("another value", "v4luE"), ("empty", "")]:
    vector("abaha", name, {**JSON, "X-Abaha-Token": value}, body, "v4lue", "reject", source=ABAHA, settings={"header": "x-abaha-token"})
vector("abaha", "another header", {**JSON, "X-Other": "v4lue"}, body, "v4lue", "reject", source=ABAHA, settings={"header": "x-abaha-token"})

# --- payos -------------------------------------------------------------------------

PAYOS = "https://github.com/payOSHQ/payos-lib-node, src/utils/convert-obj-to-query-str.ts"
PAYOS_KEY = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675"


def payos_text(value):
    if value in (None, "null", "undefined"):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return javascript([dict(sorted(element.items())) for element in value])
    return str(value)


def payos(data):
    signature = hexmac(PAYOS_KEY, "&".join(f"{name}={payos_text(data[name])}" for name in sorted(data)))
    return {"code": "00", "desc": "success", "success": True, "data": data, "signature": signature}


data = {
    "orderCode": 7, "amount": 25000, "description": "Đơn 7 & 8 = Trà/Sữa", "accountNumber": "12345678", "reference": "FT7",
    "transactionDateTime": "2023-02-04 18:25:00", "currency": "VND", "paymentLinkId": "link7", "code": "00", "desc": "Thành công",
    "counterAccountBankId": None, "counterAccountName": "null", "virtualAccountName": "undefined", "vip": True, "Zeta": 1.5,
    "items": [{"quantity": 1, "name": "Trà/Sữa <đá>", "price": 25000}, {"name": "Ly", "quantity": 2, "price": 0}],
}
event = {"object_id": "7", "test": False, "account": "12345678", "direction": "in", "amount": "25000", "transaction_id": "FT7",
         "description": "Đơn 7 & 8 = Trà/Sữa", "occurred_at": "2023-02-04T11:25:00.000Z"}
for wire, write in WRITERS.items():
    vector("payos", f"null, words, arrays and Vietnamese, sent as {wire} writes it", JSON, write(payos(data)), PAYOS_KEY, source=PAYOS, events=[event])
for name, alter in [
    ("amount altered", {"amount": 25001}), ("a field added", {"extra": 1}), ("an element altered", {"items": [{"name": "Ly"}]}),
    ("null became text", {"counterAccountBankId": "970415"}),
]:
    vector("payos", name, JSON, javascript({**payos(data), "data": {**data, **alter}}), PAYOS_KEY, "reject", source=PAYOS)
vector("payos", "a test call", JSON, javascript(payos({**data, "orderCode": 123, "description": "VQRIO123"})), PAYOS_KEY, source=PAYOS,
       events=[{"object_id": "123", "test": True}])
vector("payos", "another test call", JSON, javascript(payos({**data, "reference": "MA_GIAO_DICH_THU_NGHIEM"})), PAYOS_KEY, source=PAYOS,
       events=[{"test": True}])
for name, signature in [("a test call without a signature", None), ("a test call with an empty signature", ""),
                        ("a test call with the placeholder of the documentation", "8d8640d802576397a1ce45ebda7f835055768ac7ad2e0bfb77f9b8f12cca4c7f")]:
    body = {**payos({**data, "orderCode": 123, "description": "VQRIO123"}), "signature": signature}
    vector("payos", name, JSON, javascript(body), PAYOS_KEY, "reject", source=PAYOS)

# --- svix, stripe, shopify ---------------------------------------------------------

SVIX = "https://docs.svix.com/receiving/verifying-payloads/how-manual"
key, at, body = b"0123456789abcdef01234567", 1614265330, '{"type":"invoice.paid","data":{"id":"in_1"}}'
secret = "whsec_" + base64.b64encode(key).decode()
signed = "v1," + base64.b64encode(hmac.new(key, f"msg_1.{at}.{body}".encode(), hashlib.sha256).digest()).decode()
headers = {"Svix-Id": "msg_1", "Svix-Timestamp": str(at), "Svix-Signature": f"v1,AAAA v1a,AAAA {signed}"}
vector("svix", "the right one of three signatures stands last", headers, body, secret, source=SVIX, now=at, events=[{"name": "invoice.paid", "object_id": "in_1"}])
vector("svix", "301 s old", headers, body, secret, "reject", source=SVIX, now=at + 301)
vector("svix", "another id", {**headers, "Svix-Id": "msg_2"}, body, secret, "reject", source=SVIX, now=at)
literal = "v1," + base64.b64encode(hmac.new(secret.encode(), f"msg_1.{at}.{body}".encode(), hashlib.sha256).digest()).decode()
vector("svix", "the text of the secret as key", {**headers, "Svix-Signature": literal}, body, secret, "reject", source=SVIX, now=at)

STRIPE = "https://docs.stripe.com/webhooks#verify-manually"
at, body, secret = 1533204620, '{"id":"evt_1","type":"charge.succeeded","data":{"object":{"id":"ch_1"}}}', "whsec_c2VjcmV0"
v1 = hexmac(secret, f"{at}.{body}")
other = hexmac("whsec_b3RoZXI=", f"{at}.{body}")
expected = [{"name": "charge.succeeded", "object_id": "ch_1", "test": False}]
for name, value, expect in [
    ("two v1 while a secret is rolled, the right one first", f"t={at},v1={v1},v1={other}", "accept"),
    ("two v1 while a secret is rolled, the right one last", f"t={at},v1={other},v1={v1}", "accept"),
    ("blanks after commas", f"t={at}, v1={v1}", "accept"),
    ("v0 alone", f"t={at},v0={v1}", "reject"),
    ("another time", f"t={at + 1},v1={v1}", "reject"),
    ("no time", f"v1={v1}", "reject"),
    ("two times", f"t={at},t={at},v1={v1}", "reject"),
    ("cut short", f"t={at},v1={v1[:-2]}", "reject"),
    ("the base64 behind whsec_ as key", f"t={at},v1={hexmac('secret', f'{at}.{body}')}", "reject"),
]:
    vector("stripe", name, {"Stripe-Signature": value}, body, secret, expect, source=STRIPE, now=at, events=expected if expect == "accept" else None)

SHOPIFY = "https://shopify.dev/docs/apps/build/webhooks/subscribe/https"
body, secret = '{"id":820982911946154508,"name":"#9999","total_price":"388.00"}', "hush"
value = base64.b64encode(mac(hashlib.sha256, secret, body).digest()).decode()
headers = {"X-Shopify-Hmac-Sha256": value, "X-Shopify-Topic": "orders/create", "X-Shopify-Webhook-Id": "d1", "X-Shopify-Event-Id": "e1", "X-Shopify-Test": "true"}
vector("shopify", "an order; the mark of a test is not signed", headers, body, secret, source=SHOPIFY,
       events=[{"name": "orders/create", "object_id": "820982911946154508", "amount": "388.00", "transaction_id": "#9999", "test": False}])
vector("shopify", "altered", headers, altered(body), secret, "reject", source=SHOPIFY)
vector("shopify", "base64 in another case", {**headers, "X-Shopify-Hmac-Sha256": value.swapcase()}, body, secret, "reject", source=SHOPIFY)
vector("shopify", "hex in the place of base64", {**headers, "X-Shopify-Hmac-Sha256": hexmac(secret, body)}, body, secret, "reject", source=SHOPIFY)

(HERE / "made.json").write_text(json.dumps(VECTORS, ensure_ascii=False, indent=1) + "\n")

# --- RFC 4231 ----------------------------------------------------------------------

CASES = [
    (1, b"\x0b" * 20, b"Hi There"), (2, b"Jefe", b"what do ya want for nothing?"), (3, b"\xaa" * 20, b"\xdd" * 50),
    (4, bytes(range(1, 26)), b"\xcd" * 50), (6, b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"),
    (7, b"\xaa" * 131, b"This is a test using a larger than block-size key and a larger than block-size data. "
                       b"The key needs to be hashed before being used by the HMAC algorithm."),
]
(HERE / "hmac").mkdir(exist_ok=True)
(HERE / "hmac" / "rfc4231.json").write_text(json.dumps([
    {"algorithm": f"HMACSHA{bits}", "testGroups": [{"tagSize": bits, "tests": [
        {"tcId": number, "comment": f"RFC 4231, test case {number}", "key": key.hex(), "msg": message.hex(),
         "tag": hmac.new(key, message, f"sha{bits}").hexdigest(), "result": "valid"}
        for number, key, message in CASES]}]}
    for bits in (256, 512)], indent=1) + "\n")
