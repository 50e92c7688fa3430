/* Triangles of a simple graph by compact forward (Latapy 2008), single-threaded: the yardstick of cycles.py. */
#include <stdint.h>
#include <stdlib.h>

int64_t count_triangles(const int32_t *h, const int32_t *t, int64_t m, int64_t n)
{
    int32_t *rank = malloc(n * sizeof *rank), *mark = malloc(n * sizeof *mark);
    int64_t *degree = calloc(n, sizeof *degree), *start = calloc(n + 2, sizeof *start), most = 0, total = 0;
    for (int64_t e = 0; e < m; e++) { degree[h[e]]++; degree[t[e]]++; }
    for (int64_t x = 0; x < n; x++) if (degree[x] > most) most = degree[x];
    int64_t *bucket = calloc(most + 2, sizeof *bucket);
    for (int64_t x = 0; x < n; x++) bucket[degree[x] + 1]++;
    for (int64_t d = 0; d <= most; d++) bucket[d + 1] += bucket[d];
    for (int64_t x = 0; x < n; x++) rank[x] = bucket[degree[x]]++;
    free(bucket); free(degree);

    for (int64_t e = 0; e < m; e++) {
        int32_t a = rank[h[e]], b = rank[t[e]];
        if (a != b) start[(a < b ? a : b) + 2]++;
    }
    for (int64_t x = 0; x < n; x++) start[x + 2] += start[x + 1];
    int32_t *to = malloc((start[n + 1] + 1) * sizeof *to);
    for (int64_t e = 0; e < m; e++) {
        int32_t a = rank[h[e]], b = rank[t[e]];
        if (a != b) { if (a < b) to[start[a + 1]++] = b; else to[start[b + 1]++] = a; }
    }
    for (int64_t x = 0; x < n; x++) mark[x] = -1;
    int64_t kept = 0;
    for (int64_t a = 0; a < n; a++) {
        int64_t first = start[a], last = start[a + 1];
        start[a] = kept;
        for (int64_t e = first; e < last; e++)
            if (mark[to[e]] != a) { mark[to[e]] = a; to[kept++] = to[e]; }
    }
    start[n] = kept;

    for (int64_t x = 0; x < n; x++) mark[x] = -1;
    for (int64_t a = 0; a < n; a++) {
        for (int64_t e = start[a]; e < start[a + 1]; e++) mark[to[e]] = a;
        for (int64_t e = start[a]; e < start[a + 1]; e++)
            for (int64_t f = start[to[e]]; f < start[to[e] + 1]; f++) total += mark[to[f]] == a;
    }
    free(rank); free(mark); free(start); free(to);
    return total;
}
