# rsa.py KEY N: signs N numbers with a private key (DER) by libcrypto, as `openssl speed rsa` does, but so many and not for so long.
import ctypes, ctypes.util, hashlib, sys

crypto = ctypes.CDLL("libcrypto.so.3")
crypto.d2i_AutoPrivateKey.restype = ctypes.c_void_p
crypto.EVP_PKEY_CTX_new.restype = ctypes.c_void_p
key = open(sys.argv[1], "rb").read()
source = ctypes.c_char_p(key)
private = ctypes.c_void_p(crypto.d2i_AutoPrivateKey(None, ctypes.byref(source), ctypes.c_long(len(key))))
context = ctypes.c_void_p(crypto.EVP_PKEY_CTX_new(private, None))
if crypto.EVP_PKEY_sign_init(context) != 1:
    sys.exit("no key")
signature = ctypes.create_string_buffer(1024)
digest = hashlib.sha256()
for number in range(int(sys.argv[2])):
    length = ctypes.c_size_t(len(signature))
    data = hashlib.sha256(b"%d" % number).digest()
    if crypto.EVP_PKEY_sign(context, signature, ctypes.byref(length), data, ctypes.c_size_t(len(data))) != 1:
        sys.exit("not signed")
    digest.update(signature.raw[: length.value])
print(digest.hexdigest()[:8])
