/* Pixels to the terminal. Every character cell is two pixels, one above the other: '▀' in the colour of the upper on
   the colour of the lower. Pixels fade instead of being cleared, which makes the trails. The picture keeps to the
   top; the lines under it are a scrolling region of their own, where the runner may report. */
#include "hot_plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_W 160
#define MAX_H 100
#define REPORT_LINES 6

static const float trail = 0.90f;   /* try: 0.99f — long ribbons; 0.50f — no trails */

const char *banner(void) { return "edit me while I run"; }      /* try: your name */

float world_w = 100.0f;

static float pixels[MAX_H][MAX_W][3];
static int   width, height;         /* of the picture, in pixels */
static int   rows, columns;         /* of the terminal */
static char  out[MAX_W * MAX_H / 2 * 44 + 8192];     /* one frame, written at once */

static void put(const char *text, int length)
{
    for (ssize_t written; length > 0; text += written, length -= (int)written)
        if ((written = write(STDOUT_FILENO, text, (size_t)length)) <= 0) return;
}

static void leave(void)             /* whole screen scrolls again, cursor shown, under everything */
{
    char text[48];
    put(text, snprintf(text, sizeof text, "\033[0m\033[r\033[?25h\033[%d;1H\n", rows));
}

int draw_open(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 12 || size.ws_col < 30) return 0;
    if (size.ws_row == rows && size.ws_col == columns) return 1;

    if (rows == 0) atexit(leave);
    for (int i = 0; i < size.ws_row; i++) put("\n", 1);             /* what was there scrolls away unharmed */
    rows = size.ws_row; columns = size.ws_col;
    width = columns < MAX_W ? columns : MAX_W;
    height = 2 * (rows - REPORT_LINES - 1);
    if (height > MAX_H) height = MAX_H;
    world_w = WORLD_H * (float)width / (float)height;
    memset(pixels, 0, sizeof pixels);

    char text[64];
    int top = height / 2 + 2;
    put(text, snprintf(text, sizeof text, "\033[0m\033[2J\033[%d;%dr\033[%d;1H\033[?25l", top, rows, top));
    return 1;
}

void draw_fade(float dt)
{
    float keep = powf(trail, dt * 60);
    for (int i = 0; i < MAX_W * MAX_H * 3; i++) (&pixels[0][0][0])[i] *= keep;
}

void draw_disc(float x, float y, float radius, float softness, uint32_t colour)
{
    float scale = (float)height / WORLD_H, edge = fmaxf(1, softness * radius * scale);
    x *= scale; y *= scale; radius = radius * scale + 0.5f;
    for (int py = (int)fmaxf(0, y - radius); py < height && (float)py <= y + radius; py++)
        for (int px = (int)fmaxf(0, x - radius); px < width && (float)px <= x + radius; px++) {
            float light = (radius - hypotf((float)px + 0.5f - x, (float)py + 0.5f - y)) / edge + 0.25f;
            if (light <= 0) continue;
            if (light > 1) light = 1;
            for (int c = 0; c < 3; c++) {
                float value = light * (float)(colour >> (16 - 8 * c) & 255);
                if (value > pixels[py][px][c]) pixels[py][px][c] = value;
            }
        }
}

static uint32_t colour_at(int px, int py, uint32_t sky)
{
    uint32_t colour = 0;
    for (int c = 0; c < 3; c++) {
        float value = pixels[py][px][c] + (float)(sky >> (16 - 8 * c) & 255);
        colour = colour << 8 | ((uint32_t)fminf(value, 255) & 0xfc);    /* coarse: fewer changes to send */
    }
    return colour;
}

static int set_colour(char *at, int layer, uint32_t colour)        /* layer 38: letters, 48: ground */
{
    return sprintf(at, "\033[%d;2;%u;%u;%um", layer, colour >> 16 & 255, colour >> 8 & 255, colour & 255);
}

void draw_show(const char *caption, float time)
{
    char *at = out + sprintf(out, "\0337\033[?2026h\033[H");            /* remember the cursor, go home */
    for (int py = 0; py < height; py += 2) {
        uint32_t upper_sky = palette_sky((float)py / (float)height), upper = ~0u;
        uint32_t lower_sky = palette_sky((float)(py + 1) / (float)height), lower = ~0u;
        for (int px = 0; px < width; px++) {
            uint32_t u = colour_at(px, py, upper_sky), l = colour_at(px, py + 1, lower_sky);
            if (u != upper) at += set_colour(at, 38, upper = u);
            if (l != lower) at += set_colour(at, 48, lower = l);
            at += sprintf(at, "▀");
        }
        at += sprintf(at, "\033[0m\033[K\r\n");
    }
    at += sprintf(at, "  ");
    const char *text = banner();
    for (int i = 0; i < 40 && text[i]; i++) {
        at += set_colour(at, 38, palette_colour(time * 0.25f - 0.03f * (float)i));
        *at++ = text[i];
    }
    at += sprintf(at, "\033[0;2m   %.*s\033[0m\033[K\033[?2026l\0338", columns > 50 ? columns - 48 : 0, caption);
    put(out, (int)(at - out));
}
