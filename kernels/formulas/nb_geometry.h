/* The geometry of a pixel: where it is, how much of the sphere it covers, what the sensor catches, polarization. */
#ifndef NB_GEOMETRY_H
#define NB_GEOMETRY_H

#include "nb_common.h"

/* sin and cos of x (radians): reduced to half a turn, then by the double-angle formulas. Error 1.1e-15 for |x| < pi. */
NB_FN void nb_sincos(double x, double *s, double *c)
{
    double turns = x * (0.5 / NB_PI), d, u, sn, cs;
    d = turns - nb_rint(turns);
    u = d * d;
    sn = 7.697826768224191e-07;
    sn = -2.1903497074626018e-05 + u * sn;
    sn = 0.0004662998161898394 + u * sn;
    sn = -0.007370430505916944 + u * sn;
    sn = 0.0821458865731029 + u * sn;
    sn = -0.5992645293189447 + u * sn;
    sn = 2.5501640398773007 + u * sn;
    sn = -5.167712780049969 + u * sn;
    sn = d * (3.141592653589793 + u * sn);
    cs = 4.149564353942586e-06;
    cs = -0.00010456655338748738 + u * cs;
    cs = 0.0019295562724817132 + u * cs;
    cs = -0.025806888737002202 + u * cs;
    cs = 0.23533063012953284 + u * cs;
    cs = -1.335262768843447 + u * cs;
    cs = 4.058712126416497 + u * cs;
    cs = -4.934802200544676 + u * cs;
    cs = 1.0 + u * cs;
    *s = 2.0 * sn * cs;
    *c = 1.0 - 2.0 * sn * sn;
}

/* Curved detector: the beam spot at `distance`, turned about the slow axis by y/distance and then about the fast axis
 * by z/distance, y and z being the flat position's laboratory coordinates read as arc lengths (as in the reference). */
NB_FN void nb_curve(const double *beam, const double *fast, const double *slow, double distance, double *x, double *y,
                    double *z)
{
    double s, c, d, v[3], w[3];
    v[0] = distance * beam[0];
    v[1] = distance * beam[1];
    v[2] = distance * beam[2];
    nb_sincos(*y / distance, &s, &c);
    d = nb_dot(slow, v) * (1.0 - c);
    w[0] = slow[0] * d + v[0] * c + (slow[1] * v[2] - slow[2] * v[1]) * s;
    w[1] = slow[1] * d + v[1] * c + (slow[2] * v[0] - slow[0] * v[2]) * s;
    w[2] = slow[2] * d + v[2] * c + (slow[0] * v[1] - slow[1] * v[0]) * s;
    nb_sincos(*z / distance, &s, &c);
    d = nb_dot(fast, w) * (1.0 - c);
    *x = fast[0] * d + w[0] * c + (fast[1] * w[2] - fast[2] * w[1]) * s;
    *y = fast[1] * d + w[1] * c + (fast[2] * w[0] - fast[0] * w[2]) * s;
    *z = fast[2] * d + w[2] * c + (fast[0] * w[1] - fast[1] * w[0]) * s;
}

/* The change dw of w, v turned about `axis` (s, c: sine and cosine of its angle), when v, axis and angle change. */
NB_FN void nb_turn_slope(const double *axis, const double *v, double s, double c, const double *daxis, const double *dv,
                         double dangle, double *w, double *dw)
{
    double along = nb_dot(axis, v), dalong = nb_dot(daxis, v) + nb_dot(axis, dv), x[3], y[3], z[3];
    int i;
    nb_cross(axis, v, x);
    nb_cross(daxis, v, y);
    nb_cross(axis, dv, z);
    for (i = 0; i < 3; ++i) {
        w[i] = axis[i] * (along * (1.0 - c)) + v[i] * c + x[i] * s;
        dw[i] = daxis[i] * (along * (1.0 - c)) + axis[i] * (dalong * (1.0 - c) + along * s * dangle) + dv[i] * c -
                v[i] * s * dangle + (y[i] + z[i]) * s + x[i] * c * dangle;
    }
}

/* The change of nb_curve's position when what it follows from changes: beam, fast, slow, distance, y and z. */
NB_FN void nb_curve_slope(const double *beam, const double *fast, const double *slow, double distance, double y,
                          double z, const double *dbeam, const double *dfast, const double *dslow, double ddistance,
                          double dy, double dz, double *out)
{
    double v[3], dv[3], w[3], dw[3], x[3], s, c;
    int i;
    for (i = 0; i < 3; ++i) {
        v[i] = distance * beam[i];
        dv[i] = ddistance * beam[i] + distance * dbeam[i];
    }
    nb_sincos(y / distance, &s, &c);
    nb_turn_slope(slow, v, s, c, dslow, dv, (dy - y / distance * ddistance) / distance, w, dw);
    nb_sincos(z / distance, &s, &c);
    nb_turn_slope(fast, w, s, c, dfast, dw, (dz - z / distance * ddistance) / distance, x, out);
}

/* Solid angle of a pixel from 1/airpath: (pixel/r)^2 * close_distance/r, or 1/r^2 for a point pixel. */
NB_FN double nb_solid_angle(double inv, double area, double close_distance, int point_pixel)
{
    return point_pixel ? inv * inv : (area * inv * inv) * (close_distance * inv);
}

/* Fraction of the photons that a layer of the sensor absorbs: exp(-i s) - exp(-(i+1) s), s = thickness*mu/obliquity. */
NB_FN double nb_capture(int layer, double absorption, double obliquity)
{
    return exp(-layer * absorption / obliquity) - exp(-(layer + 1) * absorption / obliquity);
}

/* 0 where a scattering vector lies beyond the resolution limit dmin (m; 0: no limit). */
NB_FN int nb_passes_dmin(double dmin, const double *q)
{
    double length = sqrt(nb_dot(q, q));
    return !(length > 0.0 && dmin > 1.0 / length);
}

/* Kahn's polarization factor (Kahn et al., J. Appl. Cryst. 15, 330, 1982): cos 2theta = c; e and b are the diffracted
 * direction's components along the E and B vectors of the incident beam, cos 2 psi = (e^2 - b^2)/(e^2 + b^2), and 1
 * where both are 0 (the axis lies along the beam), as psi = 0 gives. */
NB_FN double nb_polarization(double kahn, double c, double e, double b)
{
    double q = (e * e - b * b + 1e-300) / (e * e + b * b + 1e-300);
    return 0.5 * (1.0 + c * c - kahn * q * (1.0 - c * c));
}

/* The polarization factor, its slopes by c, e and b. With q = (e^2 - b^2)/(e^2 + b^2): dq/de = 4 e b^2/(e^2 + b^2)^2.
 */
NB_FN double nb_polarization_slopes(double kahn, double c, double e, double b, double *slope)
{
    double n = 1.0 / (e * e + b * b + 1e-300), q = (e * e - b * b + 1e-300) * n, bend = -0.5 * kahn * (1.0 - c * c);
    slope[0] = c + kahn * q * c;
    slope[1] = bend * (4.0 * (e * n) * (b * b * n));
    slope[2] = bend * (-4.0 * (b * n) * (e * e * n));
    return 0.5 * (1.0 + c * c - kahn * q * (1.0 - c * c));
}

/* The fraction that a layer absorbs, and its slope by the obliquity. */
NB_FN double nb_capture_slope(int layer, double absorption, double obliquity, double *slope)
{
    double u = absorption / obliquity, first = exp(-layer * u), last = exp(-(layer + 1) * u);
    *slope = (layer * first - (layer + 1) * last) * (u / obliquity);
    return first - last;
}

#endif
