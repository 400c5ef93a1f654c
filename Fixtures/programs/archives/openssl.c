// OpenSSL from its archives: digests, ciphers, keys and signatures, and a TLS handshake between two ends in memory.
// run:
// archives: libssl.a libcrypto.a
// link: -ldl -pthread
#include <openssl/aes.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

static void hex(const char *what, const unsigned char *bytes, size_t count) {
  printf("%s ", what);
  for (size_t i = 0; i < count; i++) printf("%02x", bytes[i]);
  puts("");
}
static int failed(int line) {
  printf("failed at %d\n", line);
  ERR_print_errors_fp(stdout);
  return 1;
}
#define MUST(x) do { if (!(x)) return failed(__LINE__); } while (0)

static X509 *certificate(EVP_PKEY *key) {
  X509 *made = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
  X509_gmtime_adj(X509_getm_notBefore(made), -60);
  X509_gmtime_adj(X509_getm_notAfter(made), 3600);
  X509_set_pubkey(made, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC, (const unsigned char *)"hotlink", -1, -1, 0);
  X509_set_issuer_name(made, X509_get_subject_name(made));
  return X509_sign(made, key, EVP_sha256()) ? made : NULL;
}

int main(void) {
  unsigned char digest[64], out[256], back[256], tag[16];
  unsigned int size = 0;
  int length, more;
  const char *text = "The quick brown fox jumps over the lazy dog";
  hex("sha256", SHA256((const unsigned char *)text, strlen(text), digest), 32);
  const char *names[] = {"MD5", "SHA1", "SHA512", "SHA3-256", "BLAKE2s256"};
  for (int i = 0; i < 5; i++) {
    EVP_MD *md = EVP_MD_fetch(NULL, names[i], NULL);
    MUST(md && EVP_Digest(text, strlen(text), digest, &size, md, NULL));
    hex(names[i], digest, size);
    EVP_MD_free(md);
  }
  MUST(HMAC(EVP_sha256(), "key", 3, (const unsigned char *)text, strlen(text), digest, &size));
  hex("hmac", digest, size);
  MUST(PKCS5_PBKDF2_HMAC("password", 8, (const unsigned char *)"salt", 4, 4096, EVP_sha256(), 32, digest));
  hex("pbkdf2", digest, 32);
  const char *ciphers[] = {"AES-128-CBC", "AES-256-CTR", "AES-256-GCM", "ChaCha20-Poly1305", "CAMELLIA-256-CBC"};
  for (int i = 0; i < 5; i++) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, ciphers[i], NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char key[32] = "0123456789abcdef0123456789abcde", iv[16] = "fedcba987654321";
    MUST(cipher && EVP_EncryptInit_ex2(context, cipher, key, iv, NULL));
    MUST(EVP_EncryptUpdate(context, out, &length, (const unsigned char *)text, strlen(text)));
    MUST(EVP_EncryptFinal_ex(context, out + length, &more));
    hex(ciphers[i], out, length + more);
    int isAEAD = (EVP_CIPHER_get_flags(cipher) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0, all = length + more;
    if (isAEAD) MUST(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag));
    MUST(EVP_DecryptInit_ex2(context, cipher, key, iv, NULL));
    if (isAEAD) MUST(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag));
    MUST(EVP_DecryptUpdate(context, back, &length, out, all));
    MUST(EVP_DecryptFinal_ex(context, back + length, &more));
    printf("%d\n", length + more == (int)strlen(text) && !memcmp(back, text, strlen(text)));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
  }
  EVP_PKEY *rsa = EVP_RSA_gen(2048), *curve = EVP_EC_gen("P-256"), *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  EVP_PKEY *keys[] = {rsa, curve, edwards};
  for (int i = 0; i < 3; i++) {
    unsigned char signature[512];
    size_t signed_size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *md = i == 2 ? NULL : EVP_sha256();
    MUST(EVP_DigestSignInit(context, NULL, md, NULL, keys[i]));
    MUST(EVP_DigestSign(context, signature, &signed_size, (const unsigned char *)text, strlen(text)));
    EVP_MD_CTX_reset(context);
    MUST(EVP_DigestVerifyInit(context, NULL, md, NULL, keys[i]));
    int good = EVP_DigestVerify(context, signature, signed_size, (const unsigned char *)text, strlen(text));
    signature[9] ^= 1;
    EVP_MD_CTX_reset(context);
    MUST(EVP_DigestVerifyInit(context, NULL, md, NULL, keys[i]));
    printf("signature %d %d\n", good, EVP_DigestVerify(context, signature, signed_size, (const unsigned char *)text, strlen(text)) == 1);
    EVP_MD_CTX_free(context);
  }
  ERR_clear_error();
  SSL_CTX *server_context = SSL_CTX_new(TLS_server_method()), *client_context = SSL_CTX_new(TLS_client_method());
  X509 *made = certificate(rsa);
  MUST(made && SSL_CTX_use_certificate(server_context, made) == 1 && SSL_CTX_use_PrivateKey(server_context, rsa) == 1);
  MUST(X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context), made));
  SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
  SSL *server = SSL_new(server_context), *client = SSL_new(client_context);
  BIO *one, *two;
  MUST(BIO_new_bio_pair(&one, 0, &two, 0));
  SSL_set_bio(server, one, one);
  SSL_set_bio(client, two, two);
  SSL_set_accept_state(server);
  SSL_set_connect_state(client);
  for (int i = 0; i < 20 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client)); i++) {
    SSL_do_handshake(client);
    SSL_do_handshake(server);
  }
  printf("%s %s %ld\n", SSL_get_version(client), SSL_get_cipher(client), SSL_get_verify_result(client));
  MUST(SSL_write(client, text, strlen(text)) == (int)strlen(text));
  length = SSL_read(server, back, sizeof back);
  printf("%.*s\n", length, back);
  unsigned char random[32];
  MUST(RAND_bytes(random, sizeof random) == 1);
  SSL_free(server);
  SSL_free(client);
  SSL_CTX_free(server_context);
  SSL_CTX_free(client_context);
  printf("%s\n", OpenSSL_version(OPENSSL_VERSION) ? "done" : "?");
  return length;
}
