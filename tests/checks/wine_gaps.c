/* What packages for Windows need and Wine 8 lacks, see windows_python.py.

   Wine exports functions that it lacks, too: they end the process. Each of them is defined here as gap_*. */

#include <complex.h>
#include <immintrin.h>

/* The complex functions of C99. Microsoft's long double is a double, and its complex numbers are structures. */

typedef struct { float real, imaginary; } Single;
typedef struct { double real, imaginary; } Double;

#define IN(z) __builtin_complex((double)(z).real, (double)(z).imaginary)
#define OUT(kind, value) double complex w = value; return (kind){creal(w), cimag(w)};

#define TO_REAL(name) \
    double gap_##name(Double z) { return name(IN(z)); } \
    double gap_##name##l(Double z) { return name(IN(z)); } \
    float gap_##name##f(Single z) { return (float)name(IN(z)); }
#define TO_COMPLEX(name) \
    Double gap_##name(Double z) { OUT(Double, name(IN(z))) } \
    Double gap_##name##l(Double z) { OUT(Double, name(IN(z))) } \
    Single gap_##name##f(Single z) { OUT(Single, name(IN(z))) }

TO_REAL(cabs) TO_REAL(carg) TO_REAL(creal) TO_REAL(cimag)
TO_COMPLEX(csin) TO_COMPLEX(ccos) TO_COMPLEX(ctan) TO_COMPLEX(catan)
TO_COMPLEX(csinh) TO_COMPLEX(ccosh) TO_COMPLEX(ctanh)
TO_COMPLEX(cexp) TO_COMPLEX(clog) TO_COMPLEX(csqrt)

Double gap_cpow(Double z, Double p) { OUT(Double, cpow(IN(z), IN(p))) }
Double gap_cpowl(Double z, Double p) { OUT(Double, cpow(IN(z), IN(p))) }
Single gap_cpowf(Single z, Single p) { OUT(Single, cpow(IN(z), IN(p))) }

/* HDF5 sets the floating-point exceptions aside with the first, and restores them with the second. */

typedef struct { unsigned control, status; } Environment;

enum { FLAGS = 0x3f, ALL_MASKED = 0x1f80 };

int gap_feholdexcept(Environment *kept) {
    unsigned now = _mm_getcsr();
    *kept = (Environment){now & ~FLAGS, now & FLAGS};
    _mm_setcsr(kept->control | ALL_MASKED);
    return 0;
}

int gap_fesetenv(const Environment *kept) {
    _mm_setcsr(kept->control | kept->status);
    return 0;
}

/* Random bytes for Rust's hash tables; bcryptprimitives.dll is missing as a whole. */

unsigned char SystemFunction036(void *buffer, unsigned long size);

int gap_ProcessPrng(void *buffer, unsigned long long size) { return SystemFunction036(buffer, (unsigned long)size); }
