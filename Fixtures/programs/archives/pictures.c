// libpng over zlib, and libjpeg: a picture is encoded into memory and decoded again; errors come by longjmp.
// run:
// archives: libpng.a libjpeg.a libz.a
// libraries: -lm
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <stdlib.h>
#include <string.h>

enum { width = 97, height = 61 };
static unsigned char pixels[height][width * 3], again[height][width * 3];
struct buffer { unsigned char *bytes; size_t size, at; };
static void append(png_structp png, png_bytep bytes, png_size_t size) {
  struct buffer *buffer = png_get_io_ptr(png);
  buffer->bytes = realloc(buffer->bytes, buffer->size + size);
  memcpy(buffer->bytes + buffer->size, bytes, size);
  buffer->size += size;
}
static void flush(png_structp png) { (void)png; }
static void take(png_structp png, png_bytep bytes, png_size_t size) {
  struct buffer *buffer = png_get_io_ptr(png);
  if (buffer->at + size > buffer->size) png_error(png, "the file ends early");
  memcpy(bytes, buffer->bytes + buffer->at, size);
  buffer->at += size;
}
static unsigned long sum(const void *bytes, size_t size) {
  unsigned long hash = 5381;
  for (size_t i = 0; i < size; i++) hash = hash * 33 + ((const unsigned char *)bytes)[i];
  return hash;
}
static void complain(png_structp png, png_const_charp text) { printf("png: %s\n", text); longjmp(*(jmp_buf *)png_get_error_ptr(png), 1); }
static void warn(png_structp png, png_const_charp text) { (void)png; printf("warning: %s\n", text); }

static int decode(struct buffer *buffer) {
  jmp_buf back;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &back, complain, warn);
  png_infop info = png_create_info_struct(png);
  if (setjmp(back)) { png_destroy_read_struct(&png, &info, NULL); return 0; }
  png_set_read_fn(png, buffer, take);
  png_read_info(png, info);
  for (int y = 0; y < height; y++) png_read_row(png, again[y], NULL);
  png_read_end(png, NULL);
  int interlaced = png_get_interlace_type(png, info);
  printf("%ux%u %d %d\n", png_get_image_width(png, info), png_get_image_height(png, info), png_get_bit_depth(png, info), interlaced);
  png_destroy_read_struct(&png, &info, NULL);
  return 1;
}
struct escape { struct jpeg_error_mgr manager; jmp_buf back; };
static void leave(j_common_ptr common) {
  char text[JMSG_LENGTH_MAX];
  common->err->format_message(common, text);
  printf("jpeg: %s\n", text);
  longjmp(((struct escape *)common->err)->back, 1);
}
static int jpeg_decode(unsigned char *bytes, unsigned long size) {
  struct jpeg_decompress_struct in;
  struct escape escape;
  in.err = jpeg_std_error(&escape.manager);
  escape.manager.error_exit = leave;
  if (setjmp(escape.back)) { jpeg_destroy_decompress(&in); return 0; }
  jpeg_create_decompress(&in);
  jpeg_mem_src(&in, bytes, size);
  jpeg_read_header(&in, TRUE);
  jpeg_start_decompress(&in);
  while (in.output_scanline < in.output_height) { JSAMPROW row = again[in.output_scanline]; jpeg_read_scanlines(&in, &row, 1); }
  jpeg_finish_decompress(&in);
  jpeg_destroy_decompress(&in);
  return 1;
}
int main(void) {
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) { pixels[y][x * 3] = x * 2; pixels[y][x * 3 + 1] = y * 4; pixels[y][x * 3 + 2] = x * y / 8; }
  struct buffer buffer = {0};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &buffer, append, flush);
  png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_filter(png, 0, PNG_ALL_FILTERS);
  png_write_info(png, info);
  for (int y = 0; y < height; y++) png_write_row(png, pixels[y]);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  printf("%zu %lx\n", buffer.size, sum(buffer.bytes, buffer.size));
  printf("%d %d\n", decode(&buffer), memcmp(pixels, again, sizeof pixels));
  buffer.at = 0;
  buffer.bytes[60] ^= 0x55;
  printf("%d\n", decode(&buffer));

  struct jpeg_compress_struct out;
  struct escape escape;
  unsigned char *bytes = NULL;
  unsigned long size = 0;
  out.err = jpeg_std_error(&escape.manager);
  jpeg_create_compress(&out);
  jpeg_mem_dest(&out, &bytes, &size);
  out.image_width = width;
  out.image_height = height;
  out.input_components = 3;
  out.in_color_space = JCS_RGB;
  jpeg_set_defaults(&out);
  jpeg_set_quality(&out, 85, TRUE);
  jpeg_simple_progression(&out);
  jpeg_start_compress(&out, TRUE);
  while (out.next_scanline < height) { JSAMPROW row = pixels[out.next_scanline]; jpeg_write_scanlines(&out, &row, 1); }
  jpeg_finish_compress(&out);
  jpeg_destroy_compress(&out);
  printf("%lu %lx\n", size, sum(bytes, size));
  printf("%d %lx\n", jpeg_decode(bytes, size), sum(again, sizeof again));
  bytes[0] = 0;
  return jpeg_decode(bytes, size) + 3;
}
